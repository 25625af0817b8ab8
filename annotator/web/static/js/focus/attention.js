// Where the model looks: a small grid of weights, drawn smoothly over the picture and said in words.

const ROWS = ["upper", "", "lower"];
const COLUMNS = ["left", "", "right"];
/** Share of the weight from which a part of the picture is worth naming beside the strongest. */
const ALSO = 0.6;

/**
 * What a map shows, for whoever cannot see it.
 * @param {object} map `{rows, columns, values}`, values 0-1 row by row; or `{message}`
 * @returns {string} such as "strongest in the upper left"
 */
export function describeMap(map) {
  if (map.message !== undefined) return map.message;
  const parts = thirds(map);
  const most = Math.max(...parts.map((part) => part.weight));
  if (most <= 0) return "nothing in the picture speaks for it";
  const strong = parts.filter((part) => part.weight >= ALSO * most);
  if (strong.length >= 6) return "spread over the whole picture";
  strong.sort((a, b) => b.weight - a.weight);
  const also = strong.length > 1 ? `, also in the ${strong[1].name}` : "";
  return `strongest in the ${strong[0].name}${also}`;
}

/** Mean weight of the nine parts of the picture. */
function thirds({ rows, columns, values }) {
  const parts = [];
  for (const row of ROWS) {
    for (const column of COLUMNS) {
      const name = [row, column, row && column ? "" : "middle"].filter(Boolean).join(" ");
      parts.push({ name, sum: 0, area: 0 });
    }
  }
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      // A cell of a coarse grid lies in more than one part; its middle decides.
      const y = Math.min(2, Math.floor((3 * (r + 0.5)) / rows));
      const x = Math.min(2, Math.floor((3 * (c + 0.5)) / columns));
      parts[3 * y + x].sum += values[r * columns + c];
      parts[3 * y + x].area += 1;
    }
  }
  return parts.map(({ name, sum, area }) => ({ name, weight: area ? sum / area : 0 }));
}

/**
 * Bicubic (Catmull-Rom) enlargement of a grid, clamped to 0-1.
 * @returns {Float32Array} [height * width]
 */
export function enlarge({ rows, columns, values }, width, height) {
  const across = new Float32Array(rows * width);
  const taps = cubicTaps(columns, width);
  for (let r = 0; r < rows; r++) {
    for (let x = 0; x < width; x++) {
      across[r * width + x] = blend(taps[x], (c) => values[r * columns + c]);
    }
  }
  const down = cubicTaps(rows, height);
  const result = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = blend(down[y], (r) => across[r * width + x]);
      result[y * width + x] = Math.min(1, Math.max(0, value));
    }
  }
  return result;
}

function blend({ at, weights }, value) {
  return weights[0] * value(at[0]) + weights[1] * value(at[1]) + weights[2] * value(at[2]) + weights[3] * value(at[3]);
}

/** For each of `to` places: the four neighbours among `from` and their weights. */
function cubicTaps(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const place = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(place);
    const t = place - first;
    const at = [-1, 0, 1, 2].map((offset) => Math.min(from - 1, Math.max(0, first + offset)));
    const weights = [
      0.5 * (-t + 2 * t * t - t * t * t),
      0.5 * (2 - 5 * t * t + 3 * t * t * t),
      0.5 * (t + 4 * t * t - 3 * t * t * t),
      0.5 * (-t * t + t * t * t),
    ];
    return { at, weights };
  });
}

const LINE = 0.5; // level of the contour
const VEIL = 0.62; // how dark it is where the model does not look
const WARM = 0.34; // how much colour there is where it looks

/**
 * Draw a map: what the model does not look at is dimmed, what it looks at is warmed, and a line
 * with a dark edge runs around the upper half, so that it can be told on any picture.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width of the drawing, in pixels
 */
export function drawMap(canvas, map, width, height) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  const weights = enlarge(map, width, height);
  for (let i = 0; i < weights.length; i++) {
    const w = weights[i];
    const veil = VEIL * (1 - w) ** 1.5;
    const warm = WARM * w * w;
    const alpha = veil + warm * (1 - veil);
    const share = alpha ? (warm * (1 - veil)) / alpha : 0;
    pixels.data[4 * i] = 10 + share * 245;
    pixels.data[4 * i + 1] = 14 + share * 152;
    pixels.data[4 * i + 2] = 24 - share * 24;
    pixels.data[4 * i + 3] = 255 * alpha;
  }
  context.putImageData(pixels, 0, 0);
  if (!weights.some((w) => w >= LINE)) return;
  const line = contour(weights, width, height, LINE);
  for (const [colour, thick] of [["rgb(0 0 0 / 75%)", 3.4], ["#ffd34d", 1.6]]) {
    context.strokeStyle = colour;
    context.lineWidth = thick;
    context.lineCap = "round";
    context.stroke(line);
  }
}

/** Marching squares: the line at a level, as a path. */
function contour(weights, width, height, level) {
  const path = new Path2D();
  const cross = (a, b) => (level - a) / (b - a || 1);
  for (let y = 0; y < height - 1; y++) {
    for (let x = 0; x < width - 1; x++) {
      const i = y * width + x;
      const [a, b, c, d] = [weights[i], weights[i + 1], weights[i + width + 1], weights[i + width]];
      const points = [];
      if (a >= level !== b >= level) points.push([x + cross(a, b), y]);
      if (b >= level !== c >= level) points.push([x + 1, y + cross(b, c)]);
      if (d >= level !== c >= level) points.push([x + cross(d, c), y + 1]);
      if (a >= level !== d >= level) points.push([x, y + cross(a, d)]);
      for (let k = 0; k + 1 < points.length; k += 2) {
        path.moveTo(points[k][0] + 0.5, points[k][1] + 0.5);
        path.lineTo(points[k + 1][0] + 0.5, points[k + 1][1] + 0.5);
      }
    }
  }
  return path;
}
