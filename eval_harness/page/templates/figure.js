// Samples chosen for a figure, and the figure as a file.
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
    for (const pick of list.querySelectorAll("[name=pick]:checked")) {
      pick.checked = false;
      pick.closest(".sample").classList.remove("chosen");
    }
    showBar();
  });
};
