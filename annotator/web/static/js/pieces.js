// Several files in one answer: each after its length in four bytes, most significant first.

/**
 * @param {ArrayBuffer} buffer
 * @param {string} type of the files
 * @returns {(?Blob)[]} null for a file of no length; what is cut off is left out
 */
export function piecesOf(buffer, type) {
  const view = new DataView(buffer);
  const found = [];
  let place = 0;
  while (place + 4 <= buffer.byteLength) {
    const length = view.getUint32(place);
    place += 4;
    if (place + length > buffer.byteLength) break;
    found.push(length ? new Blob([new Uint8Array(buffer, place, length)], { type }) : null);
    place += length;
  }
  return found;
}
