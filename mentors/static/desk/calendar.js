// Copies the address of a calendar; without this the field is there to be copied from by hand.
"use strict";
{
  const field = document.getElementById("address");
  const button = document.getElementById("copy");
  field.addEventListener("focus", () => field.select());
  if (navigator.clipboard) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(field.value);
      document.getElementById("copied").textContent = button.dataset.done;
    });
  }
}
