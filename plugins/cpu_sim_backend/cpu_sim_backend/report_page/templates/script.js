(function () {
  "use strict";

  function sortable(table) {
    var body = table.tBodies[0];
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(function (each) { each.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var rows = Array.prototype.slice.call(body.rows);
        rows.sort(function (one, other) {
          var a = Number(one.cells[column].dataset.key);
          var b = Number(other.cells[column].dataset.key);
          var order = a < b ? -1 : a > b ? 1 : 0;
          return down ? -order : order;
        });
        rows.forEach(function (row) { body.appendChild(row); });
      });
    });
  }

  function layers() {
    return Array.prototype.slice.call(document.querySelectorAll("details.layer"));
  }

  function foldButton(text, open) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", function () {
      layers().forEach(function (each) { each.open = open; });
    });
    document.getElementById("fold-buttons").appendChild(button);
  }

  function reveal() {
    var target = document.getElementById(location.hash.slice(1));
    var folded = target && target.closest("details");
    if (folded && !folded.open) {
      folded.open = true;
      target.scrollIntoView();
    }
  }

  Array.prototype.forEach.call(document.querySelectorAll("table.sortable"), sortable);
  foldButton("Open all", true);
  foldButton("Fold all", false);
  window.addEventListener("hashchange", reveal);
  reveal();
})();
