"use strict";
// Draws the charts: those in sight at once, the others as one scrolls to them.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const touch = window.matchMedia("(pointer: coarse)").matches;
  const settings = { responsive: true, displayModeBar: false, doubleClick: "reset" };

  function draw(place) {
    if (place.dataset.drawn) return;
    place.dataset.drawn = "yes";
    const figure = figures[Number(place.dataset.figure)];
    const layout = { ...figure.layout, autosize: true };
    // With a finger one scrolls the page, and does not zoom into the chart.
    if (touch) layout.dragmode = false;
    Plotly.newPlot(place, figure.data, layout, settings);
  }

  const places = [...document.querySelectorAll(".chart")];
  const drawAll = () => places.forEach(draw);
  if ("IntersectionObserver" in window) {
    const watch = new IntersectionObserver((seen) => {
      for (const one of seen) {
        if (one.isIntersecting) {
          watch.unobserve(one.target);
          draw(one.target);
        }
      }
    }, { rootMargin: "600px" });
    places.forEach((place) => watch.observe(place));
  } else {
    drawAll();
  }
  window.addEventListener("beforeprint", drawAll);
})();
