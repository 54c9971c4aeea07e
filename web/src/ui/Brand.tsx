import { useBase } from "../app/context.tsx";

export function Brand() {
  const { product } = useBase().config;
  return (
    <span className="brand">
      <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
        <rect width="32" height="32" rx="8" fill="var(--brand)" />
        <path
          d="M6 21h4l3.5-11 5 14 3.5-9H26"
          fill="none"
          stroke="#fff"
          strokeWidth="2.6"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      {product}
    </span>
  );
}
