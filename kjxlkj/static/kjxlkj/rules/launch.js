/* A launch is sent once, however often its button is clicked; who comes back to the page may launch again. */

const form = document.getElementById("launch");
const launched = (whether) => (form.querySelector("button").disabled = whether);

if (form) {
  form.addEventListener("submit", () => launched(true));
  window.addEventListener("pageshow", () => launched(false));
}
