// Samples chosen for a figure: drawn on a canvas in the layout of the paper's Fig. 4, and exported as a file.
// (a) original, words, draft; (b) words alone; (c) words and image.
const FIGURE = { picture: 190, detail: 150, gap: 12, pad: 24, text: 15, line: 20, scale: 2 };
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif';
const REFERENCE = { width: 84, height: 84, words: 64 };
const MOST_LINES = 5;

const wrapped = (drawing, text, width, most) => {
  const lines = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    const longer = line ? `${line} ${word}` : word;
    if (drawing.measureText(longer).width <= width || !line) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  lines.push(line);
  if (lines.length > most) lines.splice(most - 1, lines.length, `${lines[most - 1]}…`);
  return lines.map((one) => {
    let shown = one;
    while (shown.length > 1 && drawing.measureText(shown).width > width) shown = `${shown.slice(0, -2)}…`;
    return shown;
  });
};

const textIn = (drawing, text, style, width, most = MOST_LINES) => {
  drawing.font = `${style} ${FIGURE.text}px ${FONT}`;
  return wrapped(drawing, text, width, most);
};

const write = (drawing, lines, style, x, y) => {
  drawing.font = `${style} ${FIGURE.text}px ${FONT}`;
  drawing.fillStyle = "#1f1d1a";
  lines.forEach((line, number) => drawing.fillText(line, x, y + FIGURE.text + FIGURE.line * number));
};

const heightOf = (picture, width) => (Array.isArray(picture) ? (width * picture[2]) / picture[1] : width * 1.35);

const leftOut = (drawing, reason, x, y, width, height) => {
  drawing.fillStyle = "#eeeae2";
  drawing.fillRect(x, y, width, height);
  const size = width < 100 ? 9 : 13;
  drawing.font = `${size}px ${FONT}`;
  drawing.fillStyle = "#5b554c";
  wrapped(drawing, index.withheld[reason], width - size, 8).forEach((line, number) =>
    drawing.fillText(line, x + size / 2, y + size * (1.5 + 1.3 * number)));
};

const drawPicture = async (drawing, sample, picture, x, y, width) => {
  const height = heightOf(picture, width);
  if (sample.has(picture)) drawing.drawImage(await sample.image(picture), x, y, width, height);
  else leftOut(drawing, picture, x, y, width, height);
};

const rim = (drawing, ...edges) => {
  for (const [width, colour] of [[4, "rgb(255 255 255 / .9)"], [2, "#b3361b"]]) {
    drawing.lineWidth = width;
    drawing.strokeStyle = colour;
    drawing.strokeRect(...edges);
  }
};

// A result with the box on it, and what is inside the box enlarged beside it.
const drawResult = async (drawing, sample, step, round, x, y) => {
  const { picture: width, gap, detail } = FIGURE;
  await drawPicture(drawing, sample, step.picture, x, y, width);
  if (!sample.has(step.picture) || step.cut) return;
  const height = heightOf(step.picture, width);
  const [ymin, xmin, ymax, xmax] = sample.boxes[round - 1].map((edge) => edge / 1000);
  const image = await sample.image(step.picture);
  const [across, down] = [Math.max((xmax - xmin) * image.width, 1), Math.max((ymax - ymin) * image.height, 1)];
  const scale = Math.min(detail / across, height / down);
  rim(drawing, x + xmin * width, y + ymin * height, (xmax - xmin) * width, (ymax - ymin) * height);
  drawing.drawImage(image, xmin * image.width, ymin * image.height, across, down, x + width + gap, y, across * scale, down * scale);
  rim(drawing, x + width + gap, y, across * scale, down * scale);
};

// What stands where, for one sample: a column for (a) and one for each prompt.
const columnsOf = (drawing, sample, prompts, round) => {
  const { picture: side, gap, detail } = FIGURE;
  const caption = index.publishable ? index.withheld.caption : sample.caption;
  const first = { width: 2 * side + gap, lines: textIn(drawing, caption, "italic", 2 * side + gap), style: "italic", pictures: [sample.original, sample.draft] };
  return [first, ...prompts.map((row) => {
    const kind = index.rows[row].reference;
    const reference = kind ? sample.references.find((one) => one.kind === kind)?.pictures[round - 1] : undefined;
    const step = sample.rows[row][index.rows[row].rounds.indexOf(round)];
    const width = side + gap + detail;
    const room = reference === undefined ? width : width - REFERENCE.width - gap;
    return { width, lines: textIn(drawing, sample.descriptions[round - 1], "", room), style: "", pictures: step ? [step.picture] : [], step, reference };
  })];
};

const referenceSize = (picture) => {
  if (!Array.isArray(picture)) return [REFERENCE.words, REFERENCE.words];
  const scale = Math.min(REFERENCE.width / picture[1], REFERENCE.height / picture[2]);
  return [picture[1] * scale, picture[2] * scale];
};

const drawColumn = async (drawing, sample, column, round, x, top, start) => {
  write(drawing, column.lines, column.style, x, top);
  if (column.reference !== undefined) {
    const [width, height] = referenceSize(column.reference);
    const left = x + column.width - width;
    if (sample.has(column.reference)) drawing.drawImage(await sample.image(column.reference), left, top, width, height);
    else leftOut(drawing, column.reference, left, top, width, height);
  }
  if (column.step) return drawResult(drawing, sample, column.step, round, x, start);
  for (const [number, picture] of column.pictures.entries())
    await drawPicture(drawing, sample, picture, x + number * (FIGURE.picture + FIGURE.gap), start, FIGURE.picture);
};

const drawFigure = async (places, { words: told, image: shown }, round) => {
  const { pad, gap, line, scale } = FIGURE;
  const prompts = [told, shown].filter((one) => one !== undefined);
  const titles = ["original and draft", ...prompts.map((row) => (row === told ? "text as prompt" : "image into prompt"))];
  const samples = await Promise.all(places.map(sampleAt));
  const canvas = el("canvas");
  const drawing = canvas.getContext("2d");
  const bands = samples.map((sample) => {
    const columns = columnsOf(drawing, sample, prompts, round);
    const texts = columns.map((one) => Math.max(one.lines.length * line, one.reference === undefined ? 0 : referenceSize(one.reference)[1]));
    const pictures = columns.flatMap((one) => one.pictures.map((picture) => heightOf(picture, FIGURE.picture)));
    return { sample, columns, head: Math.max(...texts) + gap, height: Math.max(...texts) + gap + Math.max(...pictures) };
  });
  const lefts = [pad];
  for (const { width } of bands[0].columns) lefts.push(lefts.at(-1) + width + 2 * pad);
  canvas.width = (lefts.at(-1) - pad) * scale;
  canvas.height = (pad + line + bands.reduce((sum, { height }) => sum + height + 2 * pad, 0)) * scale;
  drawing.scale(scale, scale);
  drawing.fillStyle = "#ffffff";
  drawing.fillRect(0, 0, canvas.width, canvas.height);
  drawing.imageSmoothingQuality = "high";
  titles.forEach((title, number) => write(drawing, [`(${"abc"[number]}) ${title}`], "600", lefts[number], pad / 2));
  let top = pad + line + pad / 2;
  for (const [number, { sample, columns, head, height }] of bands.entries()) {
    if (number) {
      drawing.fillStyle = "#d8d2c6";
      drawing.fillRect(pad, top - pad, lefts.at(-1) - 3 * pad, 1);
    }
    for (const [place, column] of columns.entries()) await drawColumn(drawing, sample, column, round, lefts[place], top, top + head);
    top += height + 2 * pad;
  }
  return canvas;
};

const bar = document.querySelector(".figure-bar");
const MOST_IN_FIGURE = 12;

const figureRuns = () => {
  const found = new Map();
  index.rows.forEach((row, place) => {
    if (row.rounds[0] === 0) return;
    const key = row.method;
    if (!found.has(key)) found.set(key, {});
    found.get(key)[row.reference ? "image" : "words"] ??= place;
  });
  return found;
};

const pngOf = (canvas) =>
  new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The figure is too large; choose fewer samples."))), "image/png"));

const download = (blob, name) => {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
};

const exportFigure = async () => {
  const places = order.filter((one) => chosen.has(one)).concat([...chosen].filter((one) => !order.includes(one)));
  const told = bar.querySelector(".chosen");
  if (places.length > MOST_IN_FIGURE) {
    told.textContent = `${places.length} samples are chosen; a figure holds ${MOST_IN_FIGURE}.`;
    return;
  }
  try {
    const round = Number(bar.querySelector("[name=figure-round]").value);
    const canvas = await drawFigure(places, figureRuns().get(bar.querySelector("[name=figure-run]").value), round);
    download(await pngOf(canvas), "figure.png");
  } catch (error) {
    told.textContent = error.message;
  }
};

const showBar = () => {
  bar.hidden = chosen.size === 0;
  document.body.classList.toggle("choosing", chosen.size > 0);
  bar.querySelector(".chosen").textContent = `${chosen.size} sample${chosen.size === 1 ? "" : "s"} chosen`;
};

const startFigure = () => {
  const runs = bar.querySelector("[name=figure-run]");
  const rounds = bar.querySelector("[name=figure-round]");
  const found = figureRuns();
  for (const method of found.keys()) runs.append(el("option", { value: method }, method));
  const listRounds = () => {
    const { words: inWords, image } = found.get(runs.value);
    const all = index.rows[inWords ?? image].rounds;
    rounds.replaceChildren(...all.map((round) => el("option", { value: round, selected: round === all.at(-1) }, String(round))));
  };
  if (!found.size) {
    list.classList.add("no-figure");
    return;
  }
  listRounds();
  runs.addEventListener("change", listRounds);
  document.addEventListener("chosen", showBar);
  bar.querySelector("[name=png]").addEventListener("click", exportFigure);
  bar.querySelector("[name=none]").addEventListener("click", () => {
    chosen.clear();
    list.querySelector("[name=pick]:checked")?.focus({ preventScroll: true }); // the button goes, and would take the focus along
    for (const pick of list.querySelectorAll("[name=pick]:checked")) {
      pick.checked = false;
      pick.closest(".sample").classList.remove("chosen");
    }
    showBar();
  });
};
