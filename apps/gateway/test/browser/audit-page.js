// Runs in the page: what an accessibility audit looks at first. Contrast by WCAG 2.2, 1.4.3.
(() => {
  const channel = (value) => (value <= 10.31 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (color) => {
    const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).map(Number);
    return 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  };
  const groundOf = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (backgroundColor !== "rgba(0, 0, 0, 0)") return backgroundColor;
    }
    return "rgb(255, 255, 255)";
  };
  const isFaint = (element) => {
    const [text, ground] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))];
    return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05) < 4.5;
  };
  const isNamed = (element) => element.textContent.trim() !== "" || element.hasAttribute("aria-label") || element.labels?.length > 0;
  const seen = [...document.querySelectorAll("h1, h2, p, dt, dd, th, td, button, label")].filter((element) => element.offsetParent);
  return {
    language: document.documentElement.lang,
    unnamed: [...document.querySelectorAll("button, input, [role=img]")].filter((element) => !isNamed(element)).length,
    headings: [document.querySelectorAll("h1").length, document.querySelectorAll("section:not([aria-labelledby])").length],
    // The legend below the chart is uPlot's own.
    bareHeads: document.querySelectorAll("th:not([scope]):not(.u-legend th)").length,
    faint: seen.filter(isFaint).map((element) => element.textContent),
  };
})();
