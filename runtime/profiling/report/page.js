// Draws the charts, in the colours of light, dark or print.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const config = { responsive: true, displaylogo: false, displayModeBar: false };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colors = (isDark) => {
    const ink = isDark ? "#e6eaee" : "#1c2126", line = isDark ? "#37424d" : "#d6dbe0";
    const change = { "font.color": ink };
    for (const axis of ["xaxis", "yaxis"]) {
      change[`${axis}.gridcolor`] = line;
      change[`${axis}.linecolor`] = line;
      change[`${axis}.tickcolor`] = line;
    }
    return change;
  };
  const narrow = () => window.innerWidth < 600;
  const paint = (isDark) => {
    for (const id of Object.keys(charts)) {
      Plotly.relayout(id, { ...colors(isDark), "font.size": narrow() ? 11 : 13 });
    }
  };
  Promise.all(Object.entries(charts).map(([id, chart]) => Plotly.newPlot(id, chart.data, chart.layout, config))).then(
    () => {
      paint(dark.matches);
      document.body.dataset.ready = "yes";
    },
  );
  dark.addEventListener("change", () => paint(dark.matches));
  window.addEventListener("beforeprint", () => paint(false));
  window.addEventListener("afterprint", () => paint(dark.matches));
})();
