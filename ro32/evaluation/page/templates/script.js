// What moves on the page: the model that it speaks of, the threshold, and the filters. Without it, all is shown at once.
"use strict";
(() => {
  const { category, models } = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("threshold");
  const byId = (id) => document.getElementById(id);
  const count = (number) => number.toLocaleString("en-US");
  const written = (threshold) => {
    let digits = 4; // more where these would be all 0 or all 9
    while (digits < 12 && [0, 1].includes(Number(threshold.toFixed(digits)))) digits += 1;
    return threshold.toFixed(digits);
  };
  const frameOf = (id) => byId(id).dataset.frame.split(" ").map(Number);
  const [left, right, bottom, top] = frameOf("curve");
  const names = ["precision", "recall", "f1"]; // after accuracy, the order of the bounds
  let model = 0;

  function show(at) {
    const { thresholds, counts, low, high } = models[model];
    const [tp, fp, fn] = counts[at];
    const called = tp + fp, listed = tp + fn, threshold = thresholds[at];
    const found = [called ? tp / called : 0, tp / listed, (2 * tp) / (2 * tp + fp + fn)];
    slider.value = at;
    slider.setAttribute("aria-valuetext", written(threshold));
    byId("at-threshold").textContent = written(threshold);
    names.forEach((name, index) => {
      byId(`at-${name}`).textContent = found[index].toFixed(3);
      byId(`range-${name}`).textContent = `${low[at][index + 1].toFixed(3)} to ${high[at][index + 1].toFixed(3)}`;
    });
    byId("in-words").textContent =
      `${count(called)} papers are called ${category}: ${count(tp)} of them are listed, ${count(fp)} are not. ` +
      `${count(fn)} of the ${count(listed)} listed papers are missed.`;
    const marker = document.querySelector(`[data-marker="${model}"]`);
    marker.setAttribute("cx", left + (tp / listed) * (right - left));
    marker.setAttribute("cy", bottom + found[0] * (top - bottom));
    const [start, end] = frameOf(`histogram-${model}`);
    const line = document.querySelector(`[data-threshold="${model}"]`);
    for (const name of ["x1", "x2"]) line.setAttribute(name, start + threshold * (end - start));
    for (const button of byId("presets").children) button.setAttribute("aria-pressed", Number(button.value) === at);
  }

  function choose(chosen) {
    model = chosen;
    for (const part of document.querySelectorAll("[data-model]")) part.hidden = Number(part.dataset.model) !== model;
    for (const marker of document.querySelectorAll("[data-marker]")) {
      marker.parentNode.classList.toggle("aside", Number(marker.dataset.marker) !== model);
      if (Number(marker.dataset.marker) === model) marker.parentNode.parentNode.append(marker.parentNode); // on top
    }
    const { thresholds, presets } = models[model];
    slider.max = thresholds.length - 1;
    byId("presets").replaceChildren(...presets.map(([name, at]) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", value: at, textContent: name });
      button.addEventListener("click", () => show(at));
      return button;
    }));
    show(presets[0][1]);
  }

  function filter(field) {
    const list = field.closest(".list");
    const items = Array.from(list.querySelectorAll(".papers > li"), (item) => [item, item.textContent.toLowerCase()]);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [item, text] of items) {
        item.hidden = !words.every((word) => text.includes(word));
        shown += !item.hidden;
      }
      list.lastElementChild.open = words.length > 0; // the further papers
      list.querySelector(".search output").textContent = words.length ? `${shown} of ${items.length}` : "";
    });
    field.closest(".search").hidden = false;
  }

  slider.addEventListener("input", () => show(Number(slider.value)));
  document.querySelector(".chooser").hidden = false;
  document.querySelectorAll(".filter").forEach(filter);
  const choice = document.querySelector(".models");
  if (choice) {
    choice.hidden = false;
    choice.addEventListener("change", (event) => choose(Number(event.target.value)));
  }
  choose(0);
})();
