"use strict";
// Apertures as polygons in cells, and as regions of DS9 in text: functions of numbers and text alone.
const fusionRegions = (() => {
  const RAD = Math.PI / 180, POINTS = 360; // vertices of an ellipse

  const boxOf = ([left, right, bottom, top]) => [[left - 0.5, bottom - 0.5], [right + 0.5, bottom - 0.5], [right + 0.5, top + 0.5], [left - 0.5, top + 0.5]];
  const ellipseOf = ([left, right, bottom, top]) => Array.from({ length: POINTS }, (_, i) => {
    const angle = (2 * Math.PI * i) / POINTS;
    return [(left + right + (right - left + 1) * Math.cos(angle)) / 2, (bottom + top + (top - bottom + 1) * Math.sin(angle)) / 2];
  });

  // whether a point lies in a polygon: a ray to the right crosses its sides an odd number of times
  function contains(polygon, x, y) {
    let inside = false;
    for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
      const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
    }
    return inside;
  }
  // columns and rows of the cells whose middle may lie in a polygon, within the field; null if there are none
  function bounds(polygon, [ny, nx]) {
    const x = polygon.map((point) => point[0]), y = polygon.map((point) => point[1]);
    const box = [Math.max(0, Math.ceil(Math.min(...x))), Math.min(nx - 1, Math.floor(Math.max(...x))),
      Math.max(0, Math.ceil(Math.min(...y))), Math.min(ny - 1, Math.floor(Math.max(...y)))];
    return box[0] <= box[1] && box[2] <= box[3] ? box : null;
  }

  // gnomonic projection about the frame's centre [deg], and the cell there
  function cellOf(frame, ra, dec) {
    const d = (ra - frame.ra) * RAD, sin = Math.sin(dec * RAD), cos = Math.cos(dec * RAD);
    const sin0 = Math.sin(frame.dec * RAD), cos0 = Math.cos(frame.dec * RAD);
    const depth = sin * sin0 + cos * cos0 * Math.cos(d);
    if (!(depth > 0)) return [NaN, NaN];
    return moved(frame, [frame.x, frame.y], (cos * Math.sin(d)) / depth / RAD, (sin * cos0 - cos * sin0 * Math.cos(d)) / depth / RAD);
  }
  // a cell moved by an offset east and north [deg]
  function moved(frame, [x, y], east, north) {
    const [a, b, c, d] = frame.matrix, det = a * d - b * c;
    return [x + (d * east - b * north) / det, y + (a * north - c * east) / det];
  }

  // FK5 of J2000 is turned against ICRS by angles about x, y and z (IERS Conventions 2003) [mas]
  const [ETA, XI, ALPHA] = [-19.9, 9.1, -22.9].map((angle) => (angle / 3.6e6) * RAD);
  function toIcrs(ra, dec) {
    const x = Math.cos(dec * RAD) * Math.cos(ra * RAD), y = Math.cos(dec * RAD) * Math.sin(ra * RAD), z = Math.sin(dec * RAD);
    const [a, b, c] = [x - ALPHA * y + XI * z, ALPHA * x + y + ETA * z, -XI * x - ETA * y + z];
    return [Math.atan2(b, a) / RAD, Math.atan2(c, Math.hypot(a, b)) / RAD];
  }
  const FRAMES = { icrs: "icrs", fk5: "fk5", j2000: "fk5", image: "image" };
  const SIZES = { '"': 1 / 3600, "'": 1 / 60, d: 1 };
  const number = (text) => (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : NaN);
  function coordinate(text, isRa) {
    const parts = text.split(/[:hdms]/).filter((part) => part !== "").map(number);
    if (parts.length === 1) return parts[0];
    const value = Math.abs(parts[0]) + parts[1] / 60 + (parts[2] || 0) / 3600;
    return (text.startsWith("-") ? -value : value) * (isRa ? 15 : 1);
  }
  const size = (text) => (text.slice(-1) in SIZES ? number(text.slice(0, -1)) * SIZES[text.slice(-1)] : number(text));

  // { polygon } of the first region in a text, or { problem }
  function parse(text, frame) {
    let system = "icrs";
    for (const line of text.split(/[\n;]/).map((part) => part.replace(/#.*/, "").trim().toLowerCase())) {
      if (line === "" || line.startsWith("global")) continue;
      if (/^[a-z]\w*$/.test(line)) {
        if (!(line in FRAMES)) return { problem: `The frame ${line} is not known here: write the region in icrs or image.` };
        system = FRAMES[line];
        continue;
      }
      const found = line.match(/^\+?(circle|ellipse|box|polygon)\s*\(?\s*([^()]*)\)?$/);
      if (!found) return { problem: "Only a circle, an ellipse, a box or a polygon is read, as DS9 writes it." };
      const polygon = outline(found[1], found[2].split(/[\s,]+/).filter((part) => part !== ""), system, frame);
      return polygon && polygon.flat().every(Number.isFinite) ? { polygon } : { problem: `The numbers of the ${found[1]} cannot be read.` };
    }
    return { problem: "There is no region in the text." };
  }
  function outline(shape, words, system, frame) {
    const isSky = system !== "image";
    const at = (i) => {
      if (!isSky) return [number(words[i]) - 1, number(words[i + 1]) - 1];
      const place = [coordinate(words[i], true), coordinate(words[i + 1], false)];
      return cellOf(frame, ...(system === "fk5" ? toIcrs(...place) : place));
    };
    if (shape === "polygon") {
      if (words.length < 6 || words.length % 2) return null;
      return Array.from({ length: words.length / 2 }, (_, i) => at(2 * i));
    }
    const lengths = { circle: 3, ellipse: 5, box: 5 };
    if (words.length !== lengths[shape] && words.length !== lengths[shape] - 1) return null;
    const middle = at(0), sizes = words.slice(2, 4).map(isSky ? size : number), angle = shape === "circle" ? 0 : number(words[4] || "0") * RAD;
    const [half, other] = shape === "box" ? sizes.map((value) => value / 2) : [sizes[0], shape === "circle" ? sizes[0] : sizes[1]];
    if (!(half > 0 && other > 0)) return null;
    const corners = shape === "box" ? [[-1, -1], [1, -1], [1, 1], [-1, 1]]
      : Array.from({ length: POINTS }, (_, i) => [Math.cos((2 * Math.PI * i) / POINTS), Math.sin((2 * Math.PI * i) / POINTS)]);
    return corners.map(([p, q]) => {
      const u = p * half * Math.cos(angle) - q * other * Math.sin(angle), v = p * half * Math.sin(angle) + q * other * Math.cos(angle);
      return isSky ? moved(frame, middle, -u, v) : [middle[0] + u, middle[1] + v]; // angles from west to north on the sky
    });
  }

  // a region as DS9 writes it; sky: cell to [ra, dec] in degrees
  function write(shape, box, polygon, frame, sky) {
    const point = ([x, y]) => sky(x, y).map((value) => value.toFixed(7)).join(",");
    if (shape !== "box" && shape !== "ellipse") return `icrs; polygon(${polygon.map(point).join(",")})`;
    const [left, right, bottom, top] = box, [a, b, c, d] = frame.matrix;
    const width = (right - left + 1) * Math.hypot(a, c) * 3600, height = (top - bottom + 1) * Math.hypot(b, d) * 3600;
    const angle = (((Math.atan2(c, -a) / RAD) % 360) + 360) % 360, parts = shape === "box" ? [width, height] : [width / 2, height / 2];
    return `icrs; ${shape}(${point([(left + right) / 2, (bottom + top) / 2])},${parts.map((value) => `${value.toFixed(4)}"`).join(",")},${angle.toFixed(3)})`;
  }

  return { boxOf, ellipseOf, contains, bounds, parse, write };
})();
