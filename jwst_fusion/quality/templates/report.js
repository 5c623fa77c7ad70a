"use strict";
// The explorer: rebuilds any slice and spectrum from mean spectrum, basis and coefficients.
(async function () {
  const byId = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(byId(id).textContent);

  for (const button of document.querySelectorAll(".blink-button")) {
    let timer = null;
    const gallery = button.closest("section").querySelector(".blink");
    button.addEventListener("click", () => {
      if (timer === null) {
        timer = setInterval(() => gallery.classList.toggle("blinking"), 700);
        gallery.classList.add("blinking");
      } else {
        clearInterval(timer);
        timer = null;
        gallery.classList.remove("blinking");
      }
      button.setAttribute("aria-pressed", String(timer !== null));
      button.textContent = timer === null ? "Blink" : "Stop";
    });
  }

  function bytesOf(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  }
  const floats = (packed) => new Float32Array(bytesOf(packed.data).buffer);

  async function unpack(packed) {
    const stream = new Blob([bytesOf(packed.data)]).stream().pipeThrough(new DecompressionStream("deflate"));
    const raw = new Uint8Array(await new Response(stream).arrayBuffer());
    const n = raw.length / packed.planes;
    const values = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      let number = 0;
      for (let p = packed.planes - 1; p >= 0; p--) number = number * 256 + raw[p * n + i];
      if (number === 0) {
        values[i] = NaN;
      } else {
        const zigzag = number - 1;
        values[i] = (zigzag % 2 ? -(zigzag + 1) / 2 : zigzag / 2) * packed.step;
      }
    }
    return values;
  }

  const MOST_LOST = 0.2; // share of the weights of a sum over channels that may be unknown
  const SIGNIFICANT = 3; // flux over its error from which a line has a velocity
  const data = read("report-data");
  const plots = read("report-plots");
  const started = performance.now();
  await Bokeh.embed.embed_items(plots.docs, plots.items);
  const plot = Bokeh.documents[Bokeh.documents.length - 1];
  const model = (name) => plot.get_model_by_name(name);

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  function paintPlots() {
    const style = getComputedStyle(document.documentElement);
    const [ink, line, paper] = ["--ink", "--line", "--panel"].map((name) => style.getPropertyValue(name).trim());
    model("lines-text").glyph.text_color = style.getPropertyValue("--soft").trim();
    for (const figure of plot.roots()) {
      figure.title.text_color = ink;
      for (const part of [...figure.below, ...figure.left, ...figure.right, ...figure.center]) {
        if (part.type.endsWith("Axis")) {
          for (const name of ["axis_label_text_color", "major_label_text_color", "axis_line_color",
            "major_tick_line_color", "minor_tick_line_color"]) part[name] = ink;
        } else if (part.type === "Grid") {
          part.grid_line_color = line;
        } else if (part.type === "Legend") {
          part.label_text_color = ink;
          part.background_fill_color = paper;
          part.background_fill_alpha = 0.7;
          part.border_line_color = null;
        }
      }
      if (figure.outline_line_color !== null) figure.outline_line_color = line;
    }
  }
  paintPlots();
  dark.addEventListener("change", paintPlots);

  if (typeof DecompressionStream === "undefined") {
    byId("explorer-trouble").hidden = false;
    byId("explorer-trouble").textContent = "This browser is too old for the explorer: one from 2023 or later is needed.";
    return;
  }

  const [ny, nx] = data.shape;
  const nWave = data.wavelength.shape[0];
  const nCells = ny * nx;
  const wavelength = floats(data.wavelength);
  const mean = floats(data.mean);
  const basis = floats(data.basis);
  const errorSpectra = floats(data.errorSpectra);
  const alive = bytesOf(data.alive);
  const coefficients = await Promise.all(data.coefficients.map(unpack));
  const errorMaps = await Promise.all(data.errorMaps.map(unpack));
  const k = coefficients.length;
  const bands = [];
  for (const band of data.bands) {
    bands.push({ ...band, image: band.image && (await unpack(band.image)), bandpass: band.bandpass && (await unpack(band.bandpass)) });
  }
  let spaxels = null;
  if (data.spectra) {
    const packed = data.spectra;
    const [nKept, my, mx] = packed.rest.shape;
    const rest = await unpack(packed.rest);
    const step = floats(packed.step);
    const own = floats(packed.coefficients);
    for (let l = 0; l < nKept; l++) for (let i = 0; i < my * mx; i++) rest[l * my * mx + i] *= step[l];
    spaxels = { my, mx, rest, own, averaged: packed.averaged };
  }
  const lineErrors = data.lineErrors && {
    covariance: await Promise.all(data.lineErrors.covariance.map(unpack)), leverage: await unpack(data.lineErrors.leverage),
    noise: floats(data.lineErrors.noise), scale: data.lineErrors.scale, gaps: data.lineErrors.gaps, gapErrors: data.lineErrors.gapErrors,
  };
  if (lineErrors) {
    data.lineErrors.gapSpectra.forEach(([level, ...rest], i) => {
      mean[lineErrors.gaps[i]] = level;
      rest.forEach((value, c) => { basis[lineErrors.gaps[i] * k + c] = value; });
    });
  }
  const cellOfSpaxel = spaxels ? ny / spaxels.my : 1;

  // two channels each way at least, in whole hundreds of km/s
  function leastWidth() {
    const l = Number(byId("wavelength").value), n = nWave > 1 ? Math.min(nWave - 1, Math.max(1, l)) : 0;
    const channel = n ? (fusionScience.LIGHT_SPEED * (wavelength[n] - wavelength[n - 1])) / wavelength[n] : 0;
    return Math.max(500, 100 * Math.ceil((2 * channel) / 100));
  }
  const state = {
    channel: Number(byId("wavelength").value), mode: "channel", width: leastWidth(), line: null, redshift: 0, band: null, quantity: "value",
    stretch: "linear", limits: 99.5, colours: data.palettes[0].name, cell: data.cell, aperture: null, outline: null, typed: null, shape: "box", pointer: null,
    playing: false,
  };
  const view = { fused: new Float32Array(nCells), nirspec: null, nircam: null, spectrum: null };
  if (spaxels) view.nirspec = new Float32Array(spaxels.my * spaxels.mx);

  // what is shown, as weights of channels
  function weights() {
    if (state.mode === "band") {
      const pairs = [];
      const bandpass = bands[currentBand()].bandpass;
      for (let i = 0; i < nWave; i++) if (bandpass[i] > 0) pairs.push([i, bandpass[i]]);
      return pairs;
    }
    return [[state.channel, alive[state.channel] ? 1 : NaN]];
  }
  const pairsOf = (weight) => Array.from(weight, (w, l) => [l, w]).filter((pair) => pair[1] !== 0);

  // lines
  const placeOf = (line) => line.wavelength * (1 + state.redshift);
  const isInRange = (line) => placeOf(line) >= wavelength[0] && placeOf(line) <= wavelength[nWave - 1];
  const lineCentre = () => (state.line === null ? wavelength[state.channel] : placeOf(data.lines[state.line]));
  // mean spectrum and components, each with the contrast that it has in the field
  function contrasts() {
    const spectra = [mean];
    for (let c = 0; c < k; c++) {
      const known = coefficients[c].filter(Number.isFinite);
      const middle = known.reduce((total, value) => total + value, 0) / known.length;
      const spread = Math.sqrt(known.reduce((total, value) => total + (value - middle) ** 2, 0) / known.length);
      spectra.push(Float64Array.from(wavelength, (_, l) => basis[l * k + c] * spread));
    }
    return spectra;
  }
  let spectraOfWindow = null;
  function lineWindow() {
    spectraOfWindow = spectraOfWindow || contrasts();
    return fusionScience.lineWindow({ wavelength, alive, spectra: spectraOfWindow }, lineCentre(), state.width);
  }

  // variance of a weighted sum of a cell's coefficients
  function quadratic(share, i) {
    let total = 0, q = 0;
    for (let a = 0; a < k; a++) for (let b = 0; b <= a; b++) total += (a === b ? 1 : 2) * share[a] * share[b] * lineErrors.covariance[q++][i];
    return Math.max(0, total);
  }
  // variance of a flux of a cell by the interpolation of channels without data
  function gapVariance(weight, i) {
    let total = 0;
    lineErrors.gaps.forEach((l, g) => {
      if (weight[l] === 0) return;
      for (const [level, ...rest] of lineErrors.gapErrors[g]) {
        total += (weight[l] * rest.reduce((part, value, c) => part + value * coefficients[c][i], level)) ** 2;
      }
    });
    return total;
  }
  // flux and velocity of each cell with their errors: those of the coefficients, and by the noise of the components
  function lineMaps(window) {
    const empty = () => new Float32Array(nCells).fill(NaN);
    const maps = { value: empty(), error: empty(), ratio: empty(), velocity: empty() };
    if (window.problem) return maps;
    const [flux, first] = window.moments.map((weight) => fusedSlice(pairsOf(weight), empty()));
    const share = combine(pairsOf(window.moments[0]))[1];
    const noise = lineErrors ? window.moments[0].reduce((total, w, l) => total + (w * lineErrors.noise[l]) ** 2, 0) : NaN;
    const lost = spaxels && spaxels.averaged === 1 ? fusionScience.lostVariance(window.moments[0], spaxels.rest, nWave) : 0;
    for (let i = 0; i < nCells; i++) {
      if (!Number.isFinite(coefficients[0][i])) continue;
      maps.value[i] = flux[i];
      maps.error[i] = lineErrors ? Math.sqrt(quadratic(share, i) + lineErrors.leverage[i] * noise + gapVariance(window.moments[0], i) + lost + (lineErrors.scale * flux[i]) ** 2) : NaN;
      maps.ratio[i] = flux[i] / maps.error[i];
      maps.velocity[i] = maps.ratio[i] > SIGNIFICANT ? first[i] / flux[i] : NaN;
    }
    return maps;
  }

  function currentBand() {
    if (state.band !== null) return state.band;
    let best = 0;
    bands.forEach((band, f) => {
      if (Math.abs(band.pivot - wavelength[state.channel]) < Math.abs(bands[best].pivot - wavelength[state.channel])) best = f;
    });
    return best;
  }

  function combine(pairs) {
    let level = 0;
    const share = new Float64Array(k);
    for (const [l, w] of pairs) {
      level += w * mean[l];
      for (let c = 0; c < k; c++) share[c] += w * basis[l * k + c];
    }
    return [level, share];
  }

  function fusedSlice(pairs, out) {
    const [level, share] = combine(pairs);
    for (let i = 0; i < nCells; i++) {
      let value = level;
      for (let c = 0; c < k; c++) value += share[c] * coefficients[c][i];
      out[i] = value;
    }
    return out;
  }

  function errorSlice(pairs, out) {
    const r = errorMaps.length;
    out.fill(0);
    for (const [l, w] of pairs) {
      for (let i = 0; i < nCells; i++) {
        let error = 0;
        for (let q = 0; q < r; q++) error += errorSpectra[l * r + q] * errorMaps[q][i];
        out[i] += w * w * error * error;
      }
    }
    for (let i = 0; i < nCells; i++) out[i] = Math.sqrt(out[i]);
    return out;
  }

  // of a sum over channels a few may be unknown, and are taken from the projection on the components
  function nirspecSlice(pairs, out) {
    const n = spaxels.my * spaxels.mx, all = pairs.reduce((total, [, w]) => total + Math.abs(w), 0);
    const [level, share] = combine(pairs);
    for (let i = 0; i < n; i++) {
      let value = level;
      for (let c = 0; c < k; c++) value += share[c] * spaxels.own[c * n + i];
      let lost = 0;
      for (const [l, w] of pairs) {
        const rest = spaxels.rest[Math.floor(l / spaxels.averaged) * n + i];
        if (Number.isFinite(rest)) value += w * rest;
        else lost += Math.abs(w);
      }
      out[i] = lost > MOST_LOST * all ? NaN : value;
    }
    return out;
  }

  function cellSpectrum(i) {
    const value = new Float64Array(nWave), error = new Float64Array(nWave), nirspec = new Float64Array(nWave);
    const j = spaxelOf(i), n = spaxels ? spaxels.my * spaxels.mx : 0, r = errorMaps.length;
    for (let l = 0; l < nWave; l++) {
      let sum = alive[l] ? mean[l] : NaN, e = 0;
      for (let c = 0; c < k; c++) sum += basis[l * k + c] * coefficients[c][i];
      for (let q = 0; q < r; q++) e += errorSpectra[l * r + q] * errorMaps[q][i];
      value[l] = sum;
      error[l] = e;
      if (spaxels) {
        let own = mean[l] + spaxels.rest[Math.floor(l / spaxels.averaged) * n + j];
        for (let c = 0; c < k; c++) own += basis[l * k + c] * spaxels.own[c * n + j];
        nirspec[l] = own;
      } else nirspec[l] = NaN;
    }
    return { value, error, nirspec };
  }
  const spaxelOf = (i) => spaxels
    ? Math.floor(Math.floor(i / nx) / cellOfSpaxel) * spaxels.mx + Math.floor((i % nx) / cellOfSpaxel) : 0;

  // an aperture has the cells whose middle lies in its outline
  function apertureSpectrum(box) {
    const total = { value: new Float64Array(nWave), error: new Float64Array(nWave), nirspec: new Float64Array(nWave) };
    const counts = new Map();
    let n = 0;
    const sums = new Float64Array(k), errors = new Float64Array(errorMaps.length);
    for (let y = box[2]; y <= box[3]; y++) {
      for (let x = box[0]; x <= box[1]; x++) {
        const i = y * nx + x;
        if (!fusionRegions.contains(state.outline, x, y) || !Number.isFinite(coefficients[0][i])) continue;
        n++;
        for (let c = 0; c < k; c++) sums[c] += coefficients[c][i];
        for (let q = 0; q < errors.length; q++) errors[q] += errorMaps[q][i];
        const j = spaxelOf(i);
        counts.set(j, (counts.get(j) || 0) + 1);
      }
    }
    const unit = data.pixelArea * 1e9; // MJy/sr over a cell to mJy
    const all = spaxels ? spaxels.my * spaxels.mx : 0;
    for (let l = 0; l < nWave; l++) {
      let value = alive[l] ? n * mean[l] : NaN, error = 0, own = spaxels ? 0 : NaN;
      for (let c = 0; c < k; c++) value += basis[l * k + c] * sums[c];
      for (let q = 0; q < errors.length; q++) error += errorSpectra[l * errors.length + q] * errors[q];
      if (spaxels) {
        for (const [j, count] of counts) {
          let one = mean[l] + spaxels.rest[Math.floor(l / spaxels.averaged) * all + j];
          for (let c = 0; c < k; c++) one += basis[l * k + c] * spaxels.own[c * all + j];
          own += count * one;
        }
      }
      total.value[l] = value * unit;
      total.error[l] = error * unit;
      total.nirspec[l] = own * unit;
    }
    return { ...total, n };
  }

  // sky
  const rad = Math.PI / 180;
  function sky(x, y) {
    const f = data.frame, [a, b, c, d] = f.matrix;
    const dx = x - f.x, dy = y - f.y;
    const xi = (a * dx + b * dy) * rad, eta = (c * dx + d * dy) * rad;
    const dec0 = f.dec * rad;
    const below = Math.cos(dec0) - eta * Math.sin(dec0);
    const ra = f.ra + Math.atan2(xi, below) / rad;
    const dec = Math.atan2(Math.sin(dec0) + eta * Math.cos(dec0), Math.hypot(xi, below)) / rad;
    return [((ra % 360) + 360) % 360, dec];
  }
  function sexagesimal(value, digits) {
    const unit = 10 ** digits;
    let rest = Math.round(Math.abs(value) * 3600 * unit);
    const seconds = (rest % (60 * unit)) / unit;
    rest = Math.floor(rest / (60 * unit));
    const pad = (number) => String(number).padStart(2, "0");
    return `${pad(Math.floor(rest / 60))}:${pad(rest % 60)}:${seconds.toFixed(digits).padStart(digits + 3, "0")}`;
  }
  function place(x, y) {
    const [ra, dec] = sky(x, y);
    return `${sexagesimal(ra / 15, 4)} ${dec < 0 ? "-" : "+"}${sexagesimal(dec, 3)}`;
  }
  const short = (value) => (Number.isFinite(value) ? Number(value.toPrecision(4)).toString() : "no data");
  const cellAt = (x, y) => {
    const column = Math.floor(x / data.frame.cell + nx / 2), row = Math.floor(y / data.frame.cell + ny / 2);
    return column >= 0 && column < nx && row >= 0 && row < ny ? [row, column] : null;
  };
  const middleOf = (row, column) => [(column + 0.5 - nx / 2) * data.frame.cell, (row + 0.5 - ny / 2) * data.frame.cell];

  // colours
  const tables = {};
  for (const palette of [...data.palettes, { name: "diverging", colours: data.diverging }]) {
    tables[palette.name] = Uint32Array.from(palette.colours, (text) => {
      const n = parseInt(text.slice(1), 16);
      return (0xff000000 | ((n & 0xff) << 16) | (n & 0xff00) | (n >> 16)) >>> 0;
    });
  }
  function limitsOf(values) {
    const known = values.filter(Number.isFinite).sort();
    if (known.length === 0) return [NaN, NaN];
    const share = state.limits / 100;
    const at = (q) => known[Math.min(known.length - 1, Math.max(0, Math.round(q * (known.length - 1))))];
    const low = at(1 - share), high = at(share);
    return high > low ? [low, high] : [low, low + (Math.abs(low) || 1) * 1e-6];
  }
  const stretches = {
    linear: (t) => t,
    sqrt: Math.sqrt,
    asinh: (t) => Math.asinh(20 * t) / Math.asinh(20),
    log: (t) => Math.log1p(1000 * t) / Math.log1p(1000),
  };
  // limits of a velocity: as far below as above the median
  function balanced([low, high], values) {
    const known = values.filter(Number.isFinite).sort();
    if (known.length === 0) return [NaN, NaN];
    const middle = known[known.length >> 1], half = Math.max(high - middle, middle - low);
    return [middle - half, middle + half];
  }
  const bars = {}; // limits, unit, colours and stretch of each panel, as they are painted
  function paint(name, values, [low, high], unit) {
    const source = model(`${name}-source`);
    const pixels = source.data.image[0];
    const moves = unit === "km/s";
    const table = tables[moves ? "diverging" : state.colours], stretch = stretches[moves ? "linear" : state.stretch], span = high - low;
    bars[name] = { low: short(low), high: short(high), unit: printed(unit) };
    for (let i = 0; i < values.length; i++) {
      const t = (values[i] - low) / span;
      pixels[i] = t === t ? table[Math.round(255 * stretch(t < 0 ? 0 : t > 1 ? 1 : t))] : 0;
    }
    source.change.emit();
    byId(`${name}-low`).textContent = short(low);
    byId(`${name}-high`).textContent = short(high);
    byId(`${name}-unit`).textContent = printed(unit);
    const canvas = byId(`${name}-bar`), context = canvas.getContext("2d");
    const strip = context.createImageData(256, 1), words = new Uint32Array(strip.data.buffer);
    for (let i = 0; i < 256; i++) words[i] = table[Math.round(255 * stretch(i / 255))];
    context.putImageData(strip, 0, 0);
    canvas.setAttribute("aria-label", `Colours from ${short(low)} to ${short(high)} ${unit}, ${moves ? "linear" : state.stretch}`);
  }

  function unitOf(quantity) {
    if (quantity === "ratio") return "signal to noise";
    if (quantity === "velocity") return "km/s";
    return state.mode === "line" ? "W m-2 arcsec-2" : "MJy/sr";
  }
  const printed = (unit) => unit.replaceAll("-2", "\u207b\u00b2");

  function quantityWords() {
    const words = { value: state.mode === "line" ? "flux" : "brightness", error: "error", ratio: "signal to noise", velocity: "velocity" };
    return words[state.quantity];
  }
  const title = () => `${quantityWords()} ${state.mode === "channel" ? "at" : "of"} ${what()}`;
  function what() {
    const at = `${wavelength[state.channel].toFixed(4)} um`;
    if (state.mode === "band") return `the band ${bands[currentBand()].filter}`;
    if (state.mode !== "line") return at;
    const named = state.line === null ? "the line" : `${data.lines[state.line].name}, z = ${Number(state.redshift.toPrecision(5))},`;
    return `${named} at ${lineCentre().toFixed(4)} um minus its continuum`;
  }

  function shownLine(window) {
    const maps = lineMaps(window);
    view.fused.set(maps.value);
    return maps[state.quantity];
  }
  function shownSlice(pairs) {
    fusedSlice(pairs, view.fused);
    let shown = view.fused;
    if (state.quantity !== "value") {
      const error = errorSlice(pairs, new Float32Array(nCells));
      shown = state.quantity === "error" ? error : error.map((e, i) => view.fused[i] / e);
    }
    for (let i = 0; i < nCells; i++) if (!Number.isFinite(coefficients[0][i])) shown[i] = NaN;
    return shown;
  }

  function drawImages() {
    const window = state.mode === "line" ? lineWindow() : null;
    view.window = window;
    const pairs = window ? (window.problem ? [[state.channel, NaN]] : pairsOf(window.moments[0])) : weights();
    const shown = view.shown = window ? shownLine(window) : shownSlice(pairs);
    const unit = unitOf(state.quantity);
    const limits = state.quantity === "velocity" ? balanced(limitsOf(shown), shown) : limitsOf(shown);
    paint("fused", shown, limits, unit);
    byId("line-trouble").hidden = !(window && window.problem);
    byId("line-trouble").textContent = (window && window.problem) || "";
    byId("fused").setAttribute("aria-label", `Fused cube, ${title()}, colours from ${short(limits[0])} to ${short(limits[1])} ${unit}`);
    const common = state.quantity === "value" ? limits : null;
    if (spaxels) {
      nirspecSlice(pairs, view.nirspec);
      paint("nirspec", view.nirspec, common || limitsOf(view.nirspec), unitOf("value"));
      byId("nirspec").setAttribute("aria-label", `NIRSpec cube at ${what()}`);
    }
    if (bands.length && bands[0].image) drawNircam(window, common);
    byId("wavelength-text").textContent = `${wavelength[state.channel].toFixed(4)} um`;
    byId("wavelength").value = state.channel;
    byId("wavelength").setAttribute("aria-valuetext", `${wavelength[state.channel].toFixed(4)} micrometre`);
    const span = model("spectrum-now");
    if (span !== null) span.location = wavelength[state.channel];
    tell();
  }

  // mean spectrum of the field
  let fieldSpectrum = null;
  function meanOfField() {
    if (fieldSpectrum) return fieldSpectrum;
    const spectrum = Float64Array.from(mean);
    for (let c = 0; c < k; c++) {
      const known = coefficients[c].filter(Number.isFinite), level = known.reduce((total, value) => total + value, 0) / known.length;
      for (let l = 0; l < nWave; l++) spectrum[l] += basis[l * k + c] * level;
    }
    return (fieldSpectrum = spectrum);
  }
  // NIRCam's image, or for a line the difference of two bands that leaves the line
  function drawNircam(window, common) {
    const pair = window && !window.problem && bands.every((band) => band.bandpass)
      ? fusionScience.lineOfBands(wavelength, lineCentre(), window, meanOfField(), bands) : null;
    const band = bands[pair ? pair.bands[0] : currentBand()];
    let unit = "MJy/sr", name = band.filter;
    view.nircam = band.image;
    if (pair) {
      const other = bands[pair.bands[1]];
      view.nircam = band.image.map((value, i) => pair.weights[0] * value + pair.weights[1] * other.image[i]);
      [unit, name] = ["W m-2 arcsec-2", `${band.filter} minus ${other.filter}`];
    }
    view.nircamUnit = unit;
    const isComparable = common && (pair || state.mode === "band");
    paint("nircam", view.nircam, isComparable ? common : limitsOf(view.nircam), unit);
    byId("nircam-name").textContent = name;
    byId("nircam").setAttribute("aria-label", pair ? `Line in NIRCam: ${name}` : `NIRCam image in ${name}`);
  }

  // an aperture of columns and rows, and its outline: that of the shape, or a polygon; no aperture if there is no cell in it
  function setAperture(box, shape, polygon = null, typed = null) {
    const outline = polygon || (shape === "ellipse" ? fusionRegions.ellipseOf(box) : fusionRegions.boxOf(box));
    const inside = fusionRegions.bounds(outline, data.shape);
    if (inside === null) return false;
    const middle = [Math.round((inside[2] + inside[3]) / 2), Math.round((inside[0] + inside[1]) / 2)];
    Object.assign(state, { aperture: box || inside, outline, typed, shape, cell: middle });
    byId("shape").value = shape;
    model("hover-source").data = { wavelength: [], value: [] };
    drawSpectrum();
    return true;
  }
  function drawAperture() {
    const points = (state.aperture ? state.outline : []).map(([x, y]) => middleOf(y, x));
    model("aperture-source").data = { xs: points.length ? [points.map((p) => p[0])] : [], ys: points.length ? [points.map((p) => p[1])] : [] };
    const field = byId("region");
    field.value = state.aperture ? state.typed || fusionRegions.write(state.shape, state.aperture, state.outline, data.frame, sky) : "";
    tellRegion("");
  }
  function tellRegion(problem) {
    byId("region").setCustomValidity(problem);
    byId("region").setAttribute("aria-invalid", String(problem !== ""));
    byId("region-trouble").hidden = problem === "";
    byId("region-trouble").textContent = problem;
  }

  function drawSpectrum() {
    const source = model("spectrum-source");
    const spectrum = state.aperture ? apertureSpectrum(state.aperture) : cellSpectrum(state.cell[0] * nx + state.cell[1]);
    view.spectrum = spectrum;
    const low = new Float64Array(nWave), high = new Float64Array(nWave);
    for (let l = 0; l < nWave; l++) {
      low[l] = spectrum.value[l] - spectrum.error[l];
      high[l] = spectrum.value[l] + spectrum.error[l];
    }
    source.data = { wavelength: Float64Array.from(wavelength), value: spectrum.value, low, high, nirspec: spectrum.nirspec };
    const [row, column] = state.cell;
    const name = state.aperture
      ? `Sum over ${spectrum.n} cells, ${state.shape === "box" ? "" : `${state.shape} in `}x ${state.aperture[0]} to ${state.aperture[1]}, y ${state.aperture[2]} to ${state.aperture[3]}`
      : `Cell x ${column}, y ${row}`;
    byId("spectrum-title").textContent = `Spectrum: ${name}`;
    byId("spectrum").setAttribute("aria-label", `Spectrum of the fused cube with its error, and of NIRSpec. ${name}`);
    byId("spectrum-note").textContent = state.aperture
      ? "In mJy. Errors of the cells are added up, not in quadrature: neighbours share them. NIRSpec: the same cells' spaxels."
      : "In MJy/sr. Band: one standard error. Grey: the cell under the pointer. NIRSpec: the spaxel that holds the cell, at its own resolution.";
    const axis = model("spectrum-axis");
    axis.axis_label = state.aperture ? "flux density [mJy]" : "brightness [MJy/sr]";
    model("marker-source").data = { x: [middleOf(row, column)[0]], y: [middleOf(row, column)[1]] };
    drawAperture();
    byId("at-chosen").textContent = place(column, row);
    tell();
  }

  function tell() {
    const tellOne = (id, cell) => {
      if (!cell) return;
      const i = cell[0] * nx + cell[1];
      const one = (name, value, unit) => `${name} ${short(value)}${Number.isFinite(value) ? ` ${printed(unit)}` : ""}`;
      const shown = view.shown ? view.shown[i] : NaN;
      const parts = [state.quantity === "ratio" ? `fused S/N ${short(shown)}` : one("fused", shown, unitOf(state.quantity))];
      if (spaxels) parts.push(one("NIRSpec", view.nirspec[spaxelOf(i)], unitOf("value")));
      if (view.nircam) parts.push(one("NIRCam", view.nircam[i], view.nircamUnit));
      byId(id).textContent = parts.join(", ");
    };
    tellOne("value-chosen", state.cell);
    tellOne("value-pointer", state.pointer);
  }

  function setChannel(channel, line = null) {
    state.channel = Math.min(nWave - 1, Math.max(0, channel));
    state.line = line;
    byId("line").value = line === null ? "" : String(line);
    drawImages();
  }
  function setMode(mode) {
    state.mode = byId("mode").value = mode;
    const velocity = byId("quantity").querySelector("[value=velocity]");
    velocity.disabled = mode !== "line";
    if (velocity.disabled && state.quantity === "velocity") state.quantity = byId("quantity").value = "value";
  }
  const setLine = (line) => setChannel(nearest(placeOf(data.lines[line])), line);
  const NAME_WIDTH = 0.012; // of the spectrum's width: names that are nearer do not stand side by side
  // the list, and the marks in the spectrum, of the lines that the redshift brings into the range
  function drawLines() {
    const options = [new Option("choose", "")], marks = { wavelength: [], name: [], height: [] };
    data.lines.forEach((line, number) => {
      if (!isInRange(line)) return;
      const option = new Option(`${line.name} ${placeOf(line).toFixed(4)} um`, String(number));
      option.title = line.source;
      options.push(option);
      const isClose = placeOf(line) - marks.wavelength[marks.wavelength.length - 1] < NAME_WIDTH * (wavelength[nWave - 1] - wavelength[0]);
      marks.height.push(isClose && marks.height[marks.height.length - 1] === 0.02 ? 0.32 : 0.02);
      marks.wavelength.push(placeOf(line));
      marks.name.push(line.name);
    });
    byId("line").replaceChildren(...options);
    model("lines-source").data = marks;
  }
  function setRedshift(redshift) {
    state.redshift = redshift;
    drawLines();
    if (state.line === null) return;
    if (isInRange(data.lines[state.line])) setLine(state.line);
    else setChannel(state.channel);
  }
  function setCell(row, column) {
    state.cell = [Math.min(ny - 1, Math.max(0, row)), Math.min(nx - 1, Math.max(0, column))];
    state.aperture = null;
    drawSpectrum();
  }
  function nearest(value) {
    let best = 0;
    for (let l = 1; l < nWave; l++) if (Math.abs(wavelength[l] - value) < Math.abs(wavelength[best] - value)) best = l;
    return best;
  }
  function toLine(direction) {
    const now = wavelength[state.channel], half = (wavelength[nWave - 1] - wavelength[0]) / nWave / 2;
    const ahead = [...data.lines.keys()].filter((number) => isInRange(data.lines[number]) && direction * (placeOf(data.lines[number]) - now) > 1.5 * half);
    if (ahead.length) setLine(direction > 0 ? ahead[0] : ahead[ahead.length - 1]);
  }

  let timer = null;
  function play(on) {
    clearInterval(timer);
    state.playing = on;
    byId("play").setAttribute("aria-pressed", String(on));
    byId("play").textContent = on ? "Stop" : "Play";
    if (on) timer = setInterval(() => setChannel((state.channel + Math.max(1, Math.round(nWave / 400))) % nWave), 100);
  }

  // controls
  byId("wavelength").addEventListener("input", (event) => setChannel(Number(event.target.value)));
  byId("play").addEventListener("click", () => play(!state.playing));
  byId("line").addEventListener("change", (event) => {
    if (event.target.value === "") return setChannel(state.channel);
    setMode("line");
    setLine(Number(event.target.value));
  });
  const perUnit = () => (byId("redshift-unit").value === "z" ? 1 : fusionScience.LIGHT_SPEED);
  byId("redshift").addEventListener("input", (event) => {
    const redshift = event.target.value.trim() === "" ? NaN : Number(event.target.value) / perUnit();
    const isKnown = Number.isFinite(redshift) && redshift > -1;
    event.target.setCustomValidity(isKnown ? "" : "A redshift above -1 is needed.");
    event.target.setAttribute("aria-invalid", String(!isKnown));
    if (isKnown) setRedshift(redshift);
  });
  byId("redshift-unit").addEventListener("change", () => {
    byId("redshift").value = String(Number((state.redshift * perUnit()).toPrecision(9)));
  });
  byId("mode").addEventListener("change", (event) => {
    setMode(event.target.value);
    drawImages();
  });
  const select = (id, name, convert) => byId(id) && byId(id).addEventListener("change", (event) => {
    state[name] = convert(event.target.value);
    drawImages();
  });
  select("width", "width", (text) => (Number(text) > 0 ? Number(text) : leastWidth()));
  select("band", "band", (text) => (text === "" ? null : Number(text)));
  select("quantity", "quantity", String);
  byId("shape").addEventListener("change", (event) => {
    for (const name of panels) model(`${name}-${event.target.value === "polygon" ? "lasso" : "select"}`).active = true;
    if (state.aperture && event.target.value !== "polygon") setAperture(state.aperture, event.target.value);
    else state.shape = event.target.value;
  });
  byId("region").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    event.target.blur(); // what was typed is read then
  });
  byId("region").addEventListener("change", (event) => {
    if (event.target.value.trim() === "") return setCell(...state.cell);
    const { polygon, problem } = fusionRegions.parse(event.target.value, data.frame);
    if (problem) return tellRegion(problem);
    if (!setAperture(null, "polygon", polygon, event.target.value.trim())) tellRegion("The region has no cell of the field.");
  });
  select("stretch", "stretch", String);
  select("limits", "limits", Number);
  select("colours", "colours", String);

  // figures
  const panels = ["fused", "nirspec", "nircam"].filter((name) => model(name) !== null);
  let waiting = false;
  for (const name of panels) {
    const figure = model(name);
    figure.on_event("tap", (event) => {
      const cell = cellAt(event.x, event.y);
      if (cell) setCell(...cell);
    });
    figure.on_event("mousemove", (event) => {
      state.pointer = cellAt(event.x, event.y);
      if (waiting || !state.pointer) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        if (!state.pointer) return;
        byId("at-pointer").textContent = place(state.pointer[1], state.pointer[0]);
        tell();
        if (!state.aperture) {
          const hover = cellSpectrum(state.pointer[0] * nx + state.pointer[1]);
          model("hover-source").data = { wavelength: Float64Array.from(wavelength), value: hover.value };
        }
      });
    });
    figure.on_event("mouseleave", () => {
      state.pointer = null;
      byId("at-pointer").textContent = byId("value-pointer").textContent = "-";
      model("hover-source").data = { wavelength: [], value: [] };
    });
    figure.on_event("selectiongeometry", (event) => {
      const { type, x0, x1, y0, y1, x, y } = event.geometry;
      if (!event.final) return;
      if (type === "poly") return setAperture(null, "polygon", Array.from(x, (value, i) => [value / data.frame.cell + nx / 2 - 0.5, y[i] / data.frame.cell + ny / 2 - 0.5]));
      if (type !== "rect") return;
      const inside = (value, n) => Math.min(n - 1, Math.max(0, Math.floor(value / data.frame.cell + n / 2)));
      const box = [inside(Math.min(x0, x1), nx), inside(Math.max(x0, x1), nx), inside(Math.min(y0, y1), ny), inside(Math.max(y0, y1), ny)];
      setAperture(box, state.shape === "ellipse" ? "ellipse" : "box");
    });
    byId(`panel-${name}`).addEventListener("keydown", keys);
  }
  model("spectrum").on_event("tap", (event) => setChannel(nearest(event.x)));

  function keys(event) {
    const [row, column] = state.cell;
    const actions = {
      ArrowLeft: () => setCell(row, column - 1), ArrowRight: () => setCell(row, column + 1),
      ArrowUp: () => setCell(row + 1, column), ArrowDown: () => setCell(row - 1, column),
      "+": () => setChannel(state.channel + 1), "=": () => setChannel(state.channel + 1),
      "-": () => setChannel(state.channel - 1),
      PageUp: () => setChannel(state.channel + 10), PageDown: () => setChannel(state.channel - 10),
      n: () => toLine(1), p: () => toLine(-1), " ": () => play(!state.playing),
      Escape: () => setCell(row, column),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  // files
  function save(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  function spectrumTable() {
    const { value, error, nirspec } = view.spectrum;
    const unit = state.aperture ? "mJy" : "MJy/sr";
    const rows = [`# ${data.name.replace(/[\r\n]/g, " ")}`, `# ${byId("spectrum-title").textContent}; centre ${place(state.cell[1], state.cell[0])}; ${unit}`, "wavelength_um,fused,fused_error,nirspec"];
    const text = (number) => (Number.isFinite(number) ? number.toPrecision(7) : "nan");
    for (let l = 0; l < nWave; l++) rows.push([wavelength[l].toFixed(6), text(value[l]), text(error[l]), text(nirspec[l])].join(","));
    return rows.join("\n") + "\n";
  }
  // a panel as it stands in the page: title, figure, colour bar with its limits and unit
  const HEAD = 26, FOOT = 44;
  function panelPicture(name) {
    const figure = Bokeh.index.get_one(model(name)).export("png").canvas, bar = bars[name];
    const [canvas, context] = blank(figure.width, HEAD + figure.height + FOOT);
    write(context, byId(`panel-${name}`).querySelector("h3").textContent, 8, 18, "bold 15px");
    context.drawImage(figure, 0, HEAD);
    const top = HEAD + figure.height + 4, strip = byId(`${name}-bar`), side = 90;
    context.imageSmoothingEnabled = false;
    context.drawImage(strip, side, top, figure.width - 2 * side, 14);
    context.strokeStyle = context.fillStyle;
    context.strokeRect(side, top, figure.width - 2 * side, 14);
    write(context, bar.low, side - 6, top + 12, "13px", "right");
    write(context, bar.high, figure.width - side + 6, top + 12, "13px");
    write(context, bar.unit, figure.width / 2, top + 32, "13px", "center");
    return canvas;
  }
  function blank(width, height) {
    const canvas = document.createElement("canvas"), style = getComputedStyle(document.documentElement);
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.fillStyle = style.getPropertyValue("--paper");
    context.fillRect(0, 0, width, height);
    context.fillStyle = style.getPropertyValue("--ink");
    return [canvas, context];
  }
  function write(context, text, x, y, font, align = "left") {
    context.font = `${font} sans-serif`;
    context.textAlign = align;
    context.fillText(text, x, y);
  }
  function picture() {
    const top = panels.map(panelPicture), bottom = Bokeh.index.get_one(model("spectrum")).export("png").canvas;
    const width = Math.max(top.reduce((sum, c) => sum + c.width, 0), bottom.width);
    const head = 28, height = Math.max(...top.map((c) => c.height));
    const [canvas, context] = blank(width, head + height + HEAD + bottom.height);
    write(context, `${data.name}, ${title()}`, 8, 20, "16px");
    let x = 0;
    for (const each of top) {
      context.drawImage(each, x, head);
      x += each.width;
    }
    write(context, byId("spectrum-title").textContent, 8, head + height + 18, "bold 15px");
    context.drawImage(bottom, 0, head + height + HEAD);
    return canvas;
  }
  // what is shown of the fused cube, as a FITS file
  function mapFile() {
    const unit = state.quantity === "ratio" ? "" : unitOf(state.quantity);
    const cards = [["BUNIT", unit, "unit"], ["SHOWN", quantityWords(), "what the map shows"], ["PRODUCT", data.name, "fused cube"]];
    if (state.mode === "band") cards.push(["FILTER", bands[currentBand()].filter, "band"]);
    else cards.push(["WAVELEN", state.mode === "line" ? lineCentre() : wavelength[state.channel], "[um] wavelength"]);
    if (state.mode === "line") {
      if (state.line !== null) {
        const line = data.lines[state.line];
        cards.push(["LINE", line.name, "line"], ["RESTWAV", line.wavelength, "[um] at rest in vacuum"], ["REDSHIFT", state.redshift, "where velocity is zero"]);
      }
      cards.push(["WINDOW", state.width, "[km/s] half width of the window"]);
      if (state.quantity === "velocity") cards.push(["SIGNIF", SIGNIFICANT, "least flux over its error"]);
    }
    cards.push(["ORIGIN", "made by jwst-fusion", "explorer of the report"]);
    return fusionScience.fitsImage(view.shown, data.shape, data.frame, cards);
  }
  const stem = data.name.replace(/\.[^.]*$/, "").replace(/[^\w.-]+/g, "_");
  byId("export-csv").addEventListener("click", () => save(`${stem}_spectrum.csv`, new Blob([spectrumTable()], { type: "text/csv" })));
  byId("export-fits").addEventListener("click", () => save(`${stem}_map.fits`, new Blob([mapFile()], { type: "application/fits" })));
  byId("export-png").addEventListener("click", () => picture().toBlob((blob) => save(`${stem}_view.png`, blob)));

  byId("width").value = String(state.width);
  setMode(state.mode);
  drawLines();
  drawImages();
  drawSpectrum();
  window.fusionReport = { state, view, setAperture, setChannel, setCell, setRedshift, spectrumTable, picture, mapFile, sky, model, loading: performance.now() - started };
})();
