"use strict";
// Sorts a table by the clicked heading; empty cells stay last.
function sortBy(heading) {
  const table = heading.closest("table");
  const up = heading.getAttribute("aria-sort") === "descending" || (heading.getAttribute("aria-sort") === "none" && heading.hasAttribute("data-words"));
  const column = heading.cellIndex;
  const value = (row) => row.cells[column].dataset.value ?? "";
  const number = !heading.hasAttribute("data-words");
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const x = value(a), y = value(b);
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = number ? x - y : x.localeCompare(y);
    return up ? order : -order;
  });
  for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  table.tBodies[0].append(...rows);
}
for (const button of document.querySelectorAll("th[aria-sort] button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
// One picture, or strip of a clip's frames, with its probability and whether the label agrees.
function tile(shown, pictures, isStrip) {
  const agreement = shown.label === null ? ["unknown", "?", "label unknown"]
    : shown.label ? ["yes", "✓", "labelled so"] : ["no", "✗", "not labelled so"];
  const item = element("li", shown.note ? "mistake" : `${agreement[0]}${shown.decided ? "" : " undecided"}`);
  item.title = `${shown.id}\n${shown.class} ${shown.probability.toFixed(3)}, ${agreement[2]}${shown.note ? `\n${shown.note}` : ""}`;
  const frame = element(isStrip ? "button" : "span", "frame");
  if (isStrip) {
    frame.type = "button";
    frame.setAttribute("aria-expanded", "false");
    frame.addEventListener("click", () => {
      frame.setAttribute("aria-expanded", String(item.classList.toggle("enlarged")));
    });
  }
  const picture = pictures[shown.picture];
  if (picture) {
    const image = element("img");
    image.src = picture;
    image.alt = `${shown.id}: ${shown.class}, probability ${shown.probability.toFixed(2)}, ${agreement[2]}`;
    frame.append(image);
  } else {
    frame.append(element("span", "blank", `${isStrip ? "clip" : "picture"} not available`));
  }
  const words = element("div", "words");
  words.append(element("b", "", shown.probability.toFixed(2)), " ");
  words.append(shown.note ? element("b", "", shown.class) : element("span", "mark", agreement[1]));
  if (shown.note) words.append(element("div", "", shown.note));
  if (isStrip) words.append(element("div", "id", shown.id));
  item.append(frame, words);
  return item;
}
const holder = document.getElementById("gallery-data");
if (holder) {
  const data = JSON.parse(holder.textContent);
  const fill = (id, shown) => {
    const list = document.getElementById(id);
    const isStrip = list.classList.contains("strips");
    list.replaceChildren(...shown.map((one) => tile(one, data.pictures, isStrip)));
    const empty = document.getElementById(`${id}-empty`);
    if (empty) empty.hidden = shown.length > 0;
  };
  // Shows what a section's choosers of class and split ask for, now and after each choice.
  const follow = (section, show) => {
    const chooser = document.getElementById(`${section}-class`);
    const split = document.getElementById(`${section}-split`);
    if (!chooser) return;
    const refresh = () => show(chooser.value, split.value);
    for (const one of [chooser, split]) one.addEventListener("change", refresh);
    for (const step of document.querySelectorAll(`button[data-for="${chooser.id}"]`)) {
      step.addEventListener("click", () => {
        const count = chooser.options.length;
        chooser.selectedIndex = (chooser.selectedIndex + Number(step.dataset.step) + count) % count;
        refresh();
      });
    }
    refresh();
  };
  follow("top", (name, split) => fill("top", data.top[split].filter((one) => one.class === name)));
  follow("mistakes", (name, split) => {
    for (const kind of ["wrong", "missed"]) {
      const ofClass = data[kind][split].filter((one) => name === "" || one.about.includes(name));
      if (document.getElementById(kind)) fill(kind, ofClass.slice(0, data.most_mistakes));
    }
  });
}
const curveClass = document.getElementById("curve-class");
if (curveClass) {
  curveClass.addEventListener("change", () => {
    for (const curve of document.querySelectorAll(".class-curve")) {
      curve.classList.toggle("chosen", curve.dataset.class === curveClass.value);
    }
  });
}
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
