"use strict";
// A long list of boxes to tick: narrows it to what is typed, and says how many are ticked.
for (const field of document.querySelectorAll("[data-desk-find]")) {
  const list = document.getElementById(field.dataset.deskFind);
  const rows = [...list.querySelectorAll("label")];
  const count = document.querySelector(`[data-desk-count="${list.id}"]`);
  const say = () => {
    const ticked = list.querySelectorAll("input:checked").length;
    count.textContent = ticked === 1 ? count.dataset.one : count.dataset.many.replace("#", ticked);
  };
  field.addEventListener("input", () => {
    const words = field.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLocaleLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  list.addEventListener("change", say);
  say();
}
