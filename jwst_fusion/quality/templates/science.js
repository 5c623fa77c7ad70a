"use strict";
// Lines of a cube as `jwst-fusion lines` measures them, and maps as FITS files: functions of arrays alone.
const fusionScience = (() => {
  const LIGHT_SPEED = 299792.458; // km/s
  const LIGHT_FREQUENCY = LIGHT_SPEED * 1e9; // speed of light over a micrometre [Hz]
  const BRIGHTNESS = 1e-20 * (Math.PI / 648000) ** 2; // 1 MJy/sr times 1 Hz [W m-2 arcsec-2]
  const CONTINUUM_RANGE = [1.25, 4]; // half widths of the window
  const OTHER_LINE = 16, FITS = 20, LEAST_CHANNELS = 3, LEAST_SHARE = 0.8;

  const indices = (n, condition) => Array.from({ length: n }, (_, i) => i).filter(condition);
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  function median(values) {
    const sorted = Float64Array.from(values).sort(), half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  function edgesOf(wavelength) {
    const n = wavelength.length, edges = new Float64Array(n + 1);
    for (let l = 1; l < n; l++) edges[l] = (wavelength[l - 1] + wavelength[l]) / 2;
    edges[0] = 2 * wavelength[0] - edges[1];
    edges[n] = 2 * wavelength[n - 1] - edges[n - 1];
    return edges;
  }

  // weights of the level and the slope of a straight line that is fitted to the values at x
  function lineFit(x, weight) {
    const s0 = sum(weight), s1 = sum(weight.map((w, i) => w * x[i])), s2 = sum(weight.map((w, i) => w * x[i] ** 2));
    const det = s0 * s2 - s1 * s1;
    return [weight.map((w, i) => (w * (s2 - s1 * x[i])) / det), weight.map((w, i) => (w * (s0 * x[i] - s1)) / det)];
  }

  // robust fits leave out channels that stand off the straight line in the mean spectrum or in a component
  function withoutOtherLines(spectra, velocity, off) {
    if (off.length <= 2 * LEAST_CHANNELS) return off;
    const x = off.map((l) => velocity[l]), n = off.length;
    let weight = x.map(() => 1), square = null, typical = 0;
    for (let turn = 0; turn < FITS; turn++) {
      const [level, slope] = lineFit(x, weight);
      square = x.map(() => 0);
      for (const spectrum of spectra) {
        const y = off.map((l) => spectrum[l]);
        const a = sum(level.map((v, i) => v * y[i])), b = sum(slope.map((v, i) => v * y[i]));
        for (let i = 0; i < n; i++) square[i] += (y[i] - a - b * x[i]) ** 2;
      }
      typical = Math.max(median(square), Number.MIN_VALUE);
      weight = square.map((value) => 1 / (1 + value / typical));
    }
    return off.filter((_, i) => square[i] <= OTHER_LINE * typical);
  }

  // The channels of a line at a wavelength [um], half a width [km/s] each way, and the weights of all channels that
  // make flux, and flux times velocity, minus a linear continuum.
  function lineWindow({ wavelength, alive, spectra }, centre, halfWidth) {
    const n = wavelength.length, edges = edgesOf(wavelength);
    const velocity = Float64Array.from(wavelength, (value) => LIGHT_SPEED * (value / centre - 1));
    const low = centre * (1 - halfWidth / LIGHT_SPEED), high = centre * (1 + halfWidth / LIGHT_SPEED);
    const inside = Float64Array.from(wavelength, (_, l) => Math.max(0, Math.min(edges[l + 1], high) - Math.max(edges[l], low)));
    const core = indices(n, (l) => inside[l] > 0);
    if (low < edges[0] || high > edges[n]) return { problem: "The line's window is not within the cube: choose another line or a narrower window." };
    if (core.length < LEAST_CHANNELS) return { problem: `The line's window is narrower than ${LEAST_CHANNELS} channels: choose a wider one.` };
    if (sum(core.filter((l) => alive[l]).map((l) => inside[l])) < LEAST_SHARE * (high - low)) return { problem: "The line's window has channels without data." };
    const [begin, end] = CONTINUUM_RANGE.map((factor) => factor * halfWidth);
    const beside = indices(n, (l) => alive[l] && Math.abs(velocity[l]) > begin && Math.abs(velocity[l]) < end);
    const off = withoutOtherLines(spectra, velocity, beside);
    const below = off.filter((l) => velocity[l] < 0).length;
    if (Math.min(below, off.length - below) < LEAST_CHANNELS) {
      return { problem: `The continuum has ${below} channels below and ${off.length - below} above the line's window, at least ${LEAST_CHANNELS} of each needed: choose another window.` };
    }
    return { velocity, off, low, high, moments: momentsOf(wavelength, velocity, inside, off) };
  }

  function momentsOf(wavelength, velocity, inside, off) {
    const [level, slope] = lineFit(off.map((l) => velocity[l]), off.map(() => 1));
    return [0, 1].map((power) => {
      const weight = inside.map((width, l) => (BRIGHTNESS * LIGHT_FREQUENCY * width * velocity[l] ** power) / wavelength[l] ** 2);
      const all = sum(weight), first = sum(weight.map((w, l) => w * velocity[l]));
      off.forEach((l, i) => { weight[l] -= all * level[i] + first * slope[i]; });
      return weight;
    });
  }

  // Variance of a line's flux that the components do not carry: the mean square of what is left of the cube in the line's
  // window, minus the median of that in windows of the same shape beside it (as jwst_fusion.science.leftover).
  const REACH = 100, WINDOW_STEP = 10, LEAST_KNOWN = 0.9, LEAST_WINDOWS = 4, LEAST_EXCESS = 2, NORMAL = 1.4826;
  function lostVariance(weight, rest, nWave) {
    const size = weight.map(Math.abs), highest = size.reduce((most, value) => Math.max(most, value), 0);
    const used = indices(weight.length, (l) => weight[l] !== 0), width = indices(size.length, (l) => size[l] > 0.5 * highest).length;
    const shifts = [0];
    for (let shift = -REACH; shift <= REACH; shift += WINDOW_STEP) if (Math.abs(shift) > width) shifts.push(shift);
    const moments = shifts.filter((shift) => used[0] + shift >= 0 && used[used.length - 1] + shift < nWave)
      .map((shift) => windowMoment(weight, rest, used, shift, rest.length / nWave));
    const others = moments.slice(1).filter(Number.isFinite);
    if (others.length < LEAST_WINDOWS || !Number.isFinite(moments[0])) return 0;
    const typical = median(others), scatter = NORMAL * median(others.map((value) => Math.abs(value - typical)));
    return moments[0] - typical > LEAST_EXCESS * scatter ? moments[0] - typical : 0;
  }
  function windowMoment(weight, rest, used, shift, n) {
    const map = new Float64Array(n), share = new Float64Array(n);
    let alive = 0, total = 0, count = 0;
    for (const l of used) {
      let any = false;
      for (let i = 0; i < n; i++) {
        const value = rest[(l + shift) * n + i];
        if (!Number.isFinite(value)) continue;
        any = true;
        map[i] += weight[l] * value;
        share[i] += Math.abs(weight[l]);
      }
      if (any) alive += Math.abs(weight[l]);
    }
    for (let i = 0; i < n; i++) {
      if (!(alive > 0 && share[i] >= LEAST_KNOWN * alive)) continue;
      total += map[i] ** 2;
      count++;
    }
    return count ? total / count : NaN;
  }

  // A line in two images: of the narrowest band that has it, minus the continuum that another band shows. With the ratio
  // of the bands' continua, which is that of the field's mean spectrum without the line, the flux of the line solves
  // image_f = response_f * flux + continuum_f for both. { bands, weights } of the images, or null if they do not tell.
  const LEAST_RESPONSE = 0.5; // of a band at the line, over its highest
  const LEAST_PART = 0.3; // of the line that the difference keeps
  function lineOfBands(wavelength, centre, { off, low, high, velocity }, spectrum, bands) {
    const edges = edgesOf(wavelength), n = wavelength.length;
    const channel = indices(n, (l) => edges[l] <= centre && centre < edges[l + 1])[0];
    const factor = BRIGHTNESS * LIGHT_FREQUENCY / centre ** 2;
    const response = bands.map(({ bandpass }) => bandpass[channel] / (edges[channel + 1] - edges[channel]) / factor);
    const highest = bands.map(({ bandpass }) => bandpass.reduce((most, value) => Math.max(most, value), 0));
    const has = indices(bands.length, (f) => bands[f].bandpass[channel] > LEAST_RESPONSE * highest[f]);
    if (!has.length || bands.length < 2) return null;
    const [level, slope] = lineFit(off.map((l) => velocity[l]), off.map(() => 1));
    const a = sum(level.map((w, i) => w * spectrum[off[i]])), b = sum(slope.map((w, i) => w * spectrum[off[i]]));
    const smooth = Float64Array.from(spectrum, (value, l) => (wavelength[l] >= low && wavelength[l] <= high ? a + b * velocity[l] : value));
    const continuum = bands.map(({ bandpass }) => bandpass.reduce((total, value, l) => total + value * smooth[l], 0));
    const band = has.reduce((best, f) => (response[f] > response[best] ? f : best));
    const others = indices(bands.length, (f) => f !== band).map((f) => ({ f, ratio: continuum[band] / continuum[f] }))
      .filter(({ f, ratio }) => ratio > 0 && response[band] - ratio * response[f] > LEAST_PART * response[band]);
    if (!others.length) return null;
    const distance = ({ f }) => Math.abs(bands[f].pivot - bands[band].pivot);
    const { f, ratio } = others.reduce((best, other) => (distance(other) < distance(best) ? other : best));
    const flux = response[band] - ratio * response[f];
    return { bands: [band, f], weights: [1 / flux, -ratio / flux] };
  }

  // FITS
  function card(key, value, comment) {
    const number = typeof value === "number" ? String(value).replace("e", "E") : null;
    const text = number === null ? `'${String(value).replace(/[^ -~]/g, "?").slice(0, 60).replace(/'/g, "''").padEnd(8)}'`.padEnd(20)
      : number.padStart(20);
    return `${key.padEnd(8)}= ${text} / ${comment}`.slice(0, 80).padEnd(80);
  }
  const logical = (key, comment) => `${key.padEnd(8)}= ${"T".padStart(20)} / ${comment}`.padEnd(80);
  const BLOCK = 2880;

  // An image of 32-bit numbers, its first row at the bottom, with coordinates; cards: [key, value, comment].
  function fitsImage(values, [ny, nx], frame, cards) {
    const [a, b, c, d] = frame.matrix;
    const head = [
      logical("SIMPLE", "conforms to FITS"), card("BITPIX", -32, "32-bit floating point"), card("NAXIS", 2, "axes"),
      card("NAXIS1", nx, "columns"), card("NAXIS2", ny, "rows"),
      ...[["RADESYS", "ICRS", "frame"], ["CTYPE1", "RA---TAN", "projection"], ["CTYPE2", "DEC--TAN", "projection"],
        ["CUNIT1", "deg", "unit"], ["CUNIT2", "deg", "unit"], ["CRPIX1", frame.x + 1, "reference, from 1"],
        ["CRPIX2", frame.y + 1, "reference, from 1"], ["CRVAL1", frame.ra, "[deg] there"], ["CRVAL2", frame.dec, "[deg] there"],
        ["CD1_1", a, "[deg] xi with x"], ["CD1_2", b, "[deg] xi with y"], ["CD2_1", c, "[deg] eta with x"],
        ["CD2_2", d, "[deg] eta with y"], ...cards].map((each) => card(...each)),
      "END".padEnd(80),
    ].join("");
    const start = Math.ceil(head.length / BLOCK) * BLOCK;
    const bytes = new Uint8Array(start + Math.ceil((4 * nx * ny) / BLOCK) * BLOCK).fill(32, 0, start);
    for (let i = 0; i < head.length; i++) bytes[i] = head.charCodeAt(i);
    const numbers = new DataView(bytes.buffer, start);
    for (let i = 0; i < nx * ny; i++) numbers.setFloat32(4 * i, values[i], false);
    return bytes;
  }

  return { LIGHT_SPEED, lineWindow, lineOfBands, lostVariance, fitsImage };
})();
