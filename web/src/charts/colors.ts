/** The present values of colour tokens, for a canvas. */
export interface ChartColors {
  line: string;
  estimated: string;
  suspect: string;
  text: string;
  muted: string;
  grid: string;
  gap: string;
  surface: string;
  bad: string;
  warn: string;
  info: string;
}

export function chartColors(element: HTMLElement): ChartColors {
  const probe = document.createElement("span");
  element.append(probe);
  const read = (token: string) => {
    probe.style.color = `var(--${token})`;
    return getComputedStyle(probe).color;
  };
  const colors = {
    line: read("line"),
    estimated: read("estimated"),
    suspect: read("suspect"),
    text: read("text"),
    muted: read("muted"),
    grid: read("grid"),
    gap: read("ghost"),
    surface: read("surface"),
    bad: read("bad"),
    warn: read("warn"),
    info: read("info"),
  };
  probe.remove();
  return colors;
}
