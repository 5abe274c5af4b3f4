"use strict";
(() => {
  const packed = JSON.parse(document.getElementById("images").textContent);
  const urls = new Map();
  const url = (key) => {
    if (!urls.has(key)) {
      const bytes = Uint8Array.from(atob(packed.data[key]), (one) => one.charCodeAt(0));
      urls.set(key, URL.createObjectURL(new Blob([bytes], { type: packed.type })));
    }
    return urls.get(key);
  };
  for (const image of document.querySelectorAll("img[data-key]")) image.src = url(Number(image.dataset.key));

  const tools = document.querySelector(".tools");
  const list = document.querySelector(".list");
  const samples = [...list.children];
  const count = tools.querySelector(".count");
  const empty = document.querySelector(".empty");

  const value = (sample, metric) => {
    const finals = [...sample.querySelectorAll(".strip:not([hidden])")].map((strip) => JSON.parse(strip.dataset.final)[metric]);
    return finals.reduce((sum, one) => sum + one, 0) / finals.length;
  };

  const update = () => {
    const wanted = Object.fromEntries(new FormData(tools));
    let strips = 0;
    const shown = samples.filter((sample) => {
      let any = false;
      for (const strip of sample.querySelectorAll(".strip")) {
        strip.hidden =
          (wanted.method && strip.dataset.method !== wanted.method) ||
          (wanted.prompt && strip.dataset.prompt !== wanted.prompt) ||
          (wanted.category && sample.dataset.category !== wanted.category) ||
          (wanted.failed && !("failed" in strip.dataset)) || false;
        strips += !strip.hidden;
        any ||= !strip.hidden;
      }
      sample.hidden = !any;
      return any;
    });
    const [order, metric] = wanted.order.split(" ");
    let sorted = samples;
    if (metric) {
      const sign = order === "worst" ? 1 : -1;
      const values = new Map(shown.map((sample) => [sample, value(sample, metric)]));
      sorted = [...shown].sort((one, other) => sign * (values.get(one) - values.get(other)));
    }
    list.append(...sorted);
    document.body.classList.toggle("no-boxes", !wanted.boxes);
    count.textContent = `${shown.length} of ${samples.length} samples, ${strips} strips`;
    empty.hidden = shown.length > 0;
  };
  tools.addEventListener("change", update);
  tools.addEventListener("submit", (event) => event.preventDefault());
  update();

  const viewer = document.querySelector(".viewer");
  const trio = viewer.querySelector(".trio");
  const copy = (cell) => {
    const figure = document.createElement("figure");
    const frame = document.createElement("div");
    frame.className = "frame";
    frame.append(...[...cell.querySelector(".frame").children].map((one) => one.cloneNode(true)));
    const title = document.createElement("p");
    title.textContent = [cell.querySelector(".title"), cell.querySelector(".brief p")].filter(Boolean).map((one) => one.textContent).join(": ");
    figure.append(frame, title);
    return figure;
  };
  list.addEventListener("click", (event) => {
    const frame = event.target.closest(".frame");
    if (!frame) return;
    const cell = frame.closest(".cell");
    const cells = [...cell.parentElement.children];
    const place = cells.indexOf(cell);
    const chosen = new Set([cells[Math.max(place - 1, 0)], cell, cells[cells.length - 1]]);
    trio.replaceChildren(...cells.filter((one) => chosen.has(one)).map(copy));
    viewer.showModal();
  });
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
})();
