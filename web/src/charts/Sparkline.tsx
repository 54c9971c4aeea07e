interface Props {
  values: number[];
  color: string;
  label: string;
}

export function Sparkline({ values, color, label }: Props) {
  const top = Math.max(...values, 1e-9);
  const bottom = Math.min(0, ...values);
  const step = values.length > 1 ? 100 / (values.length - 1) : 100;
  const points = values.map(
    (value, i) => `${(i * step).toFixed(2)},${(30 - ((value - bottom) / (top - bottom)) * 28).toFixed(2)}`,
  );
  return (
    <svg className="sparkline" viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label={label}>
      <polygon points={`0,32 ${points.join(" ")} 100,32`} fill={color} opacity="0.13" />
      <polyline
        points={points.join(" ")}
        fill="none"
        stroke={color}
        strokeWidth="1.6"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}
