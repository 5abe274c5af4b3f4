// One sample as a board: draft, a strip for each run, original; columns are the rounds.
const marker = (row) => {
  const circle = svg("circle", { cx: 13, cy: 6, r: 4 });
  const line = svg("path", { class: "line", d: "M1 6L25 6" });
  if (!row.reference) {
    circle.setAttribute("class", "hollow");
    line.setAttribute("class", "line dashed");
  }
  return svg("svg", { class: "marker", viewBox: "0 0 26 12", "aria-hidden": "true" }, line, circle);
};

const outlines = (boxes, numbers, width, height, faint) => {
  const drawn = svg("svg", {
    class: faint ? "boxes faint" : "boxes", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", preserveAspectRatio: "none",
  });
  const size = width / 12;
  for (const number of numbers) {
    const [ymin, xmin, ymax, xmax] = boxes[number - 1];
    const place = {
      x: (xmin * width) / 1000, y: (ymin * height) / 1000,
      width: ((xmax - xmin) * width) / 1000, height: ((ymax - ymin) * height) / 1000,
    };
    drawn.append(svg("rect", { class: "halo", ...place }), svg("rect", { class: "box", "data-number": number, ...place }));
    if (!faint) {
      const name = svg("text", { x: place.x + size / 2, y: place.y + size * 0.78, "font-size": size * 0.74 });
      name.textContent = number;
      drawn.append(svg("g", { class: "number" }, svg("rect", { x: place.x, y: place.y, width: size, height: size }), name));
    }
  }
  return drawn;
};

const frame = (sample, picture, alt, numbers = [], faint = false) => {
  if (!sample.has(picture)) {
    const told = el("p", { class: "withheld" }, index.withheld[picture]);
    if (sample.has(sample.draft)) told.style.setProperty("--shape", `${sample.draft[1]} / ${sample.draft[2]}`);
    return told;
  }
  const [, width, height] = picture;
  const image = el("img", { src: sample.url(picture), width, height, alt, decoding: "async" });
  return el("span", { class: "frame" }, image, numbers.length ? outlines(sample.boxes, numbers, width, height, faint) : null);
};

// A change map: the picture in pale grey, and in colour what differs from the one before.
const MAP_SIDE = 220;
const changeMap = async (sample, before, after, side = MAP_SIDE) => {
  const scale = Math.min(1, side / Math.max(after[1], after[2]));
  const [width, height] = [Math.max(Math.round(after[1] * scale), 1), Math.max(Math.round(after[2] * scale), 1)];
  const pixels = async (picture) => {
    const drawing = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    drawing.imageSmoothingQuality = "high";
    drawing.drawImage(await sample.image(picture), 0, 0, width, height);
    return drawing.getImageData(0, 0, width, height);
  };
  const [old, now] = [await pixels(before), await pixels(after)];
  let changed = 0;
  for (let at = 0; at < now.data.length; at += 4) {
    const [red, green, blue] = [now.data[at], now.data[at + 1], now.data[at + 2]];
    const most = Math.max(Math.abs(red - old.data[at]), Math.abs(green - old.data[at + 1]), Math.abs(blue - old.data[at + 2]));
    changed += most > 24;
    const heat = Math.min(Math.max(most - 10, 0) / 90, 1);
    const grey = 150 + 0.38 * (0.299 * red + 0.587 * green + 0.114 * blue);
    now.data[at] = grey + (176 - grey) * heat;
    now.data[at + 1] = grey + (32 - grey) * heat;
    now.data[at + 2] = grey + (64 - grey) * heat;
  }
  return { map: now, share: (100 * changed) / (width * height) };
};

const showMap = (sample, before, after, side) => {
  const canvas = el("canvas", { class: "map", role: "img", "aria-label": "What changed against the picture before" });
  canvas.width = after[1];
  canvas.height = after[2];
  changeMap(sample, before, after, side).then(
    ({ map, share }) => {
      canvas.width = map.width;
      canvas.height = map.height;
      canvas.getContext("2d").putImageData(map, 0, 0);
      const said = share < 0.05 ? "Nothing to see changed" : `About ${share.toFixed(share < 10 ? 1 : 0)} % changed`;
      canvas.setAttribute("aria-label", `${said} against the picture before`);
      canvas.title = said;
    },
    () => canvas.remove(),
  );
  return canvas;
};

const valuesOf = (values, before) =>
  el("dl", { class: "values" }, ...values.map((value, metric) => {
    const change = before.length ? value - before[metric] : 0;
    const [label, , digits, identical] = index.metrics[metric];
    const same = identical !== null && value > identical - 0.1;  // nothing but the very same pixels comes near
    const said = same ? "identical" : Math.abs(change) >= shown(digits) ? signed(change, digits) : "";
    return el("div", {}, el("dt", {}, label), el("dd", {}, fixed(value, digits),
      said ? el("small", { class: change > 0 || same ? "up" : "down" }, ` ${said}`) : null));
  }));

const enlarge = (label, content) =>
  el("button", { type: "button", class: "enlarge", "aria-label": `Enlarge: ${label}` }, content);

const cellOf = (sample, brief, place, order) => {
  const row = index.rows[place];
  const round = row.rounds[order];
  const { picture, cut, message } = sample.rows[place][order];
  const status = brief.statuses[place][order];
  const failed = status !== "ok";
  const before = order ? sample.rows[place][order - 1].picture : round ? sample.draft : null;
  const title = round ? `Round ${round}` : "Result";
  const alt = `${title} by ${nameOf(row)} on ${brief.id}` +
    (failed ? `: ${words(status)}, the last good picture is shown` : "");
  const shown = frame(sample, picture, alt, round && !cut ? [round] : [], true);
  const map = sample.has(picture) && before && sample.has(before) ? showMap(sample, before, picture) : null;
  const cell = el("li", { class: failed ? "cell round failed" : "cell round", "data-order": order },
    sample.has(picture) ? enlarge(alt, shown) : shown,
    failed ? el("span", { class: "badge" }, words(status)) : null,
    el("div", { class: "under" }, map,
      valuesOf(brief.values[place][order], order ? brief.values[place][order - 1] : round ? brief.draft : [])),
    message ? el("p", { class: "message" }, el("bdi", {}, message)) : null);
  cell.style.setProperty("--column", round || 1);
  return cell;
};

const stripOf = (sample, brief, place) => {
  const row = index.rows[place];
  const cells = row.rounds.map((_, order) => cellOf(sample, brief, place, order));
  return el("div", { class: `strip c${row.colour}`, role: "group", "data-row": place, "aria-label": nameOf(row) },
    el("h4", {}, marker(row), el("bdi", {}, row.method), " ", el("small", {}, row.prompt)),
    el("ol", { class: "cells" }, ...cells));
};

const headOf = (sample, round) => {
  const references = sample.references.map(({ kind, pictures }) => {
    const shown = frame(sample, pictures[round - 1], `Reference of round ${round}, ${kind}`);
    shown.classList.add("reference");
    return sample.references.length > 1 ? el("span", { class: "kind" }, shown, el("small", {}, kind)) : shown;
  });
  const head = el("div", { class: "head" }, el("h4", {}, `Round ${round}`),
    el("div", { class: "brief" }, ...references, el("p", {}, el("bdi", {}, sample.descriptions[round - 1]))));
  head.style.setProperty("--column", round);
  return head;
};

const standing = (brief, places) => {
  const last = (place) => brief.values[place].at(-1);
  const best = index.metrics.map((_, metric) => Math.max(...places.map((place) => last(place)[metric])));
  const least = index.metrics.map((_, metric) => Math.min(...places.map((place) => last(place)[metric])));
  const line = (name, values, place) =>
    el("tr", { class: place === undefined ? "floor" : `c${index.rows[place].colour}` }, el("th", { scope: "row" }, el("div", {}, ...name)),
      ...values.map((value, metric) => {
        const digits = index.metrics[metric][2], least_shown = shown(digits);
        const leads = place !== undefined && best[metric] - least[metric] >= least_shown && value > best[metric] - least_shown;
        return el("td", { class: leads ? "best" : "" }, fixed(value, digits));
      }));
  const lines = places.map((place) => {
    const row = index.rows[place];
    return line([marker(row), el("span", {}, el("bdi", {}, row.method), " ", el("small", {}, row.prompt))], last(place), place);
  });
  return el("table", { class: "standing" }, el("caption", {}, "After the last round"),
    el("thead", {}, el("tr", {}, el("td", {}), ...index.metrics.map(([label]) => el("th", { scope: "col" }, label)))),
    el("tbody", {}, brief.draft.length ? line(["Draft"], brief.draft) : null, ...lines));
};

const boardOf = (sample, brief, places) => {
  const rounds = [...new Set(places.flatMap((place) => index.rows[place].rounds))].sort((one, other) => one - other);
  const edits = rounds.filter((round) => round > 0);
  const numbers = sample.boxes.map((_, number) => number + 1);
  const draftAlt = `Draft of ${brief.id}: where editing starts`;
  const originalAlt = `Original of ${brief.id}: the target, with its ${numbers.length} boxes`;
  const board = el("div", { class: edits.length ? "board" : "board results" },
    edits.length
      ? el("div", { class: "side draft" }, el("h4", {}, "Draft"),
        sample.has(sample.draft) ? enlarge(draftAlt, frame(sample, sample.draft, draftAlt, numbers, true)) : frame(sample, sample.draft, draftAlt),
        el("div", { class: "under" }, brief.draft.length ? valuesOf(brief.draft, []) : null))
      : null,
    el("div", { class: "heads" }, ...edits.map((round) => headOf(sample, round))),
    el("div", { class: "strips" }, ...places.map((place) => stripOf(sample, brief, place))),
    el("div", { class: "side original" }, el("h4", {}, "Original"),
      sample.has(sample.original) ? enlarge(originalAlt, frame(sample, sample.original, originalAlt, numbers)) : frame(sample, sample.original, originalAlt)));
  board.style.setProperty("--rounds", Math.max(edits.length, 1));
  return board;
};

const contentOf = (sample, brief, places) => {
  const caption = index.publishable ? index.withheld.caption : sample.caption;
  return [
    el("div", { class: "about" },
      caption ? el("p", { class: index.publishable ? "annotation withheld-text" : "annotation" }, el("bdi", {}, caption)) : null,
      places.length > 1 ? standing(brief, places) : null),
    el("div", { class: "scroller", tabIndex: 0, role: "region", "aria-label": `Pictures of ${brief.id}` }, boardOf(sample, brief, places)),
  ];
};
