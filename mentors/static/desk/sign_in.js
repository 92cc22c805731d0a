// The button that prints codes: without JavaScript it is not there, and the browser's own menu prints as well.
document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("[data-print]");
    if (!button) return;
    button.hidden = false;
    button.addEventListener("click", () => window.print());
});
