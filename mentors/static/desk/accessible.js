// Mends what unfold's own pages leave out for whoever has no mouse or no sight, also in what comes later:
// a field with suggestions is called as its label, what can be clicked can be reached and pressed, and the word
// behind a sign ("chevron_right") is not read out. And a file can be chosen where unfold has not made its field.
"use strict";
(() => {
  const NATIVE = "a[href], button, input, select, textarea, label, summary, nav";
  const CLICKABLE = "[x-on\\:click], [\\@click]";
  const FILE = "input[type=file]:not(:has(~ input[type=text]))";
  const SIGN = ".material-symbols-outlined";

  function nameAfterLabel(container) {
    const select = container.previousElementSibling;
    const label = select?.id && document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
    const box = container.querySelector("[role=combobox]");
    const value = box?.querySelector(".select2-selection__rendered");
    if (!label || !value) return;
    label.id ||= `${select.id}_label`;
    box.setAttribute("aria-labelledby", `${label.id} ${value.id}`);
    value.removeAttribute("role"); // it is the box that is operated
    value.removeAttribute("aria-readonly");
  }

  function makeButton(element) {
    if (element.matches(`${NATIVE}, [tabindex]`) || element.querySelector(NATIVE)) return;
    if (!element.textContent.trim() && !element.title) return; // the ground behind a window
    element.tabIndex = 0;
    element.setAttribute("role", "button");
    if (element.title) element.setAttribute("aria-label", element.title);
    const opened = element.nextElementSibling;
    if (!opened?.hasAttribute("x-show")) return;
    const say = () => element.setAttribute("aria-expanded", String(opened.style.display !== "none"));
    new MutationObserver(say).observe(opened, { attributeFilter: ["style"] });
    say();
  }

  function silence(sign) {
    const control = sign.closest("a, button, [role=button], h2, li, label");
    if (!control || control === sign) return;
    const others = [...control.childNodes].filter((node) => !node.contains(sign) && !node.matches?.(SIGN));
    const isNamed = control.title || control.ariaLabel || others.some((node) => node.textContent.trim());
    if (isNamed) sign.setAttribute("aria-hidden", "true");
  }

  // unfold's script writes the name of a file into a text field beside it, and fails where there is none.
  function leaveToBrowser(field) {
    field.hasChangeListener = true;
  }

  const all = (root, selector) => [...(root.matches(selector) ? [root] : []), ...root.querySelectorAll(selector)];

  function mend(root) {
    all(root, ".select2-container").forEach(nameAfterLabel);
    all(root, CLICKABLE).forEach(makeButton);
    all(root, SIGN).forEach(silence);
    all(root, FILE).forEach(leaveToBrowser);
    all(root, "ul.object-tools").forEach((list) => list.setAttribute("role", "none")); // it holds no items
  }

  document.addEventListener("keydown", (event) => {
    const isPress = event.key === "Enter" || event.key === " ";
    if (!isPress || !event.target.matches("[role=button]:not(a[href], button)")) return;
    event.preventDefault();
    event.target.click();
  });
  document.addEventListener("DOMContentLoaded", () => mend(document.body));
  new MutationObserver((changes) => {
    if (document.readyState === "loading") return;
    for (const node of changes.flatMap((change) => [...change.addedNodes])) if (node instanceof Element) mend(node);
  }).observe(document, { childList: true, subtree: true });
})();
