/* After a decision: the focus goes on to the next pending card, and the count follows. All else is HTML and htmx. */
(function () {
  "use strict";

  function announce(text) {
    document.getElementById("announcement").textContent = text;
  }

  function count(change) {
    document.querySelectorAll("[data-pending-count]").forEach(function (element) {
      var left = Math.max(0, Number(element.dataset.pendingCount) + change);
      element.dataset.pendingCount = String(left);
      element.textContent = String(left);
    });
  }

  function nextPending(card) {
    for (var next = card.nextElementSibling; next; next = next.nextElementSibling) {
      if (next.hasAttribute("data-pending")) return next;
    }
    return document.querySelector(".card[data-pending]") || document.getElementById("next-page") || card;
  }

  /* The answer replaces the card: whether it was pending has to be known before. */
  var wasPending = {};

  document.addEventListener("htmx:beforeSwap", function (event) {
    var card = event.detail.target;
    if (card.classList.contains("card")) wasPending[card.id] = card.hasAttribute("data-pending");
  });

  document.addEventListener("htmx:afterSettle", function (event) {
    var element = event.detail.elt;
    if (element.classList.contains("edit-form")) {
      element.querySelector("input:not([type=hidden]), textarea").focus();
    }
    if (!element.classList.contains("card") || !(element.id in wasPending)) return;
    var isPending = element.hasAttribute("data-pending");
    if (wasPending[element.id] && !isPending) {
      count(-1);
      nextPending(element).focus();
    } else {
      (element.querySelector(".edit-form input:not([type=hidden])") || element).focus();
    }
    delete wasPending[element.id];
  });

  ["htmx:sendError", "htmx:responseError", "htmx:timeout"].forEach(function (name) {
    document.addEventListener(name, function (event) {
      var status = event.detail.xhr && event.detail.xhr.status;
      announce(status === 403 ? "Refused: you may not decide this." : "That did not reach the server. Try again.");
    });
  });
})();
