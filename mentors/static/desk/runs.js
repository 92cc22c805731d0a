// Asks how far a run is, shows it, and shows the page anew when the run is closed.
"use strict";

const EVERY_MS = 1500;
const AT_MOST_MS = 30000;
const place = document.querySelector("[data-progress]");
const bar = place.querySelector("[role=progressbar]");
const said = place.querySelector("[data-said]");
let told = -1;

function show(progress) {
  const text = `${progress.percent} %`;
  bar.setAttribute("aria-valuenow", progress.percent);
  bar.setAttribute("aria-valuetext", text);
  bar.style.setProperty("--percent", `${progress.percent}%`);
  const quarter = Math.floor(progress.percent / 25);
  if (quarter !== told) said.textContent = `${text}: ${progress.words}`; // said aloud, so not at every step
  told = quarter;
}

async function ask(wait) {
  let next = wait;
  try {
    const answer = document.hidden ? null : await fetch(place.dataset.progress, { headers: { Accept: "application/json" } });
    if (answer && (answer.redirected || answer.status === 403 || answer.status === 404)) return; // logged out, or no longer ours
    if (answer && !answer.ok) throw new Error(answer.status);
    const progress = answer && (await answer.json());
    if (progress && !progress.is_at_work) return window.location.reload();
    if (progress) show(progress);
    next = EVERY_MS;
  } catch {
    next = Math.min(wait * 2, AT_MOST_MS); // the server is away: it is asked again, later and later
  }
  window.setTimeout(ask, next, next);
}

window.setTimeout(ask, EVERY_MS, EVERY_MS);
