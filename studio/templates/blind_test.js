// Runs once the component is there: `element` is its root, `server` has the functions of studio/blind_test.py.
const root = element.querySelector(".blind");
const find = (name) => root.querySelector(name);
const KEY = "fashionedit.voter";
const KEYS = { ArrowLeft: "left", ArrowRight: "right", "=": "tie", u: "undo", U: "undo", Backspace: "undo" };
let turn = null, shownAt = 0, busy = false;

const stored = {
  get: () => { try { return localStorage.getItem(KEY) || ""; } catch { return ""; } },
  set: (name) => { try { localStorage.setItem(KEY, name); } catch { /* private windows may keep nothing */ } },
};

function say(error) { find(".error").textContent = error; }

async function ask(name, given) {
  if (busy) return;
  busy = true;
  try {
    const found = await server[name](given);
    say(found.error || "");
    if (!found.error) await show(found);
  } catch {
    say("The page can't reach its server. Your votes so far are kept; reload the page to go on.");
  } finally {
    busy = false;
  }
}

async function show(next) {
  turn = next;
  stored.set(next.voter);
  const ended = next.pair === null;
  if (!ended) await draw(next);
  find(".who").hidden = true;
  find(".test").hidden = ended;
  find(".end").hidden = !ended;
  const bar = find("progress");
  bar.max = next.total;
  bar.value = next.done;
  find(".count").textContent = `${next.done} of ${next.total}`;
  find(".name").textContent = next.voter;
  find(".sum").textContent = `${next.voter}, you have judged ${next.done} of ${next.total} pairs. You can close the page.`;
  root.querySelectorAll(".undo").forEach((button) => { button.disabled = !next.done; button.hidden = !next.done; });
  find(".said").textContent = ended ? "All pairs are judged" : `Pair ${next.done + 1} of ${next.total}`;
  fit();
  find(".results").classList.remove("tie");
  root.querySelectorAll(".picture").forEach((picture) => picture.classList.remove("chosen"));
  shownAt = performance.now();
}

// The results take what is left of the window below the page's head, so that nothing has to be scrolled.
function fit() {
  const top = find(".stage").getBoundingClientRect().top + scrollY;
  const below = find(".answers").offsetHeight + 44;
  if (top) root.style.setProperty("--room", `${Math.max(300, innerHeight - top - below)}px`);
}

async function draw(next) {
  const pictures = { ".draft img": next.draft, ".left img": next.left, ".right img": next.right };
  if (next.original) pictures[".original img"] = next.original;
  find(".original").hidden = !next.original;
  const wishes = next.wishes.map(({ words, image }, place) => {
    const [item, button, text, number] = ["li", "button", "p", "b"].map((name) => document.createElement(name));
    const picture = new Image();
    picture.src = image;
    number.textContent = next.wishes.length > 1 ? `Wish ${place + 1}` : "Wish";
    picture.alt = `${number.textContent}: reference`;
    button.type = "button";
    button.append(picture);
    text.append(number, words);
    item.append(button, text);
    return item;
  });
  // All pictures change at once, when the last one is ready: the two results must not come one after the other.
  const ready = Object.values(pictures).map((source) => {
    const picture = new Image();
    picture.src = source;
    return picture.decode().catch(() => {});
  });
  await Promise.all(ready);
  for (const [place, source] of Object.entries(pictures)) find(place).src = source;
  for (const picture of root.querySelectorAll(".results img")) {
    picture.decode().catch(() => {}).then(() => picture.style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight));
  }
  find(".wishes").replaceChildren(...wishes);
  find(".wanted").scrollTo(0, 0);
}

function choose(choice) {
  if (busy || !turn || turn.pair === null || find(".test").hidden) return;
  if (choice === "tie") find(".results").classList.add("tie");
  else find(`.picture.${choice}`).classList.add("chosen");
  ask("vote", { voter: turn.voter, pair: turn.pair, choice, seconds: (performance.now() - shownAt) / 1000 });
}

function undo() {
  if (turn && turn.done) ask("undo", { voter: turn.voter });
}

function onKey(event) {
  if (!root.isConnected) { document.removeEventListener("keydown", onKey); return; }
  const action = KEYS[event.key];
  const typing = event.target.closest && event.target.closest("input, textarea, select, [contenteditable]");
  if (!action || !turn || typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!root.offsetParent || !find(".who").hidden) return; // in a tab that is not shown
  event.preventDefault();
  if (closer.open) {
    if (action === "left" || action === "right") look(find(`.${action} img`));
  } else if (action === "undo") undo();
  else choose(action);
}

const closer = find(".closer");
let looked = null;

function look(picture) {
  looked = picture;
  closer.querySelector("img").src = picture.src;
  closer.querySelector("img").alt = closer.querySelector(".which").textContent = picture.alt;
  closer.querySelector(".other").hidden = !picture.closest(".results");
  if (!closer.open) closer.showModal();
}

function turnOver() {
  if (!looked.closest(".results")) closer.close();
  else look(find(looked.closest(".left") ? ".right img" : ".left img"));
}

document.addEventListener("keydown", onKey);
new ResizeObserver(fit).observe(root);
addEventListener("resize", fit);
find(".who").addEventListener("submit", (event) => {
  event.preventDefault();
  ask("begin", { voter: event.target.voter.value });
});
root.querySelectorAll("[data-choice]").forEach((button) => button.addEventListener("click", () => choose(button.dataset.choice)));
root.querySelectorAll(".undo").forEach((button) => button.addEventListener("click", undo));
root.querySelectorAll(".change").forEach((button) => button.addEventListener("click", () => {
  turn = null;
  find(".test").hidden = find(".end").hidden = true;
  find(".who").hidden = false;
  find("input").value = "";
  find("input").focus();
}));
find(".stage").addEventListener("click", (event) => {
  const picture = event.target.closest("button:has(img)");
  if (picture) look(picture.querySelector("img"));
});
closer.querySelector("img").addEventListener("click", turnOver);
closer.querySelector(".other").addEventListener("click", turnOver);
closer.querySelector(".close").addEventListener("click", () => closer.close());

if (stored.get()) {
  find("input").value = stored.get();
  ask("begin", { voter: stored.get() });
}
