// Several files in one answer: each after its length in four bytes, most significant first.

/**
 * @param {ArrayBuffer} buffer
 * @returns {(?Uint8Array)[]} null for a file of no length; what is cut off is left out
 */
export function piecesOf(buffer) {
  const view = new DataView(buffer);
  const found = [];
  let place = 0;
  while (place + 4 <= buffer.byteLength) {
    const length = view.getUint32(place);
    place += 4;
    if (place + length > buffer.byteLength) break;
    found.push(length ? new Uint8Array(buffer, place, length) : null);
    place += length;
  }
  return found;
}

const AT_ONCE = 8192; // arguments of one call

/** The address of a file that is here: unlike a blob's, it is read without asking another process. */
export function dataUrl(bytes, type) {
  let text = "";
  for (let first = 0; first < bytes.length; first += AT_ONCE) {
    text += String.fromCharCode(...bytes.subarray(first, first + AT_ONCE));
  }
  return `data:${type};base64,${btoa(text)}`;
}
