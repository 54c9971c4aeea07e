/** The signs of a load curve: told apart by shape and pattern, not by colour alone. */
export function ChartLegend({ register = false }: { register?: boolean }) {
  return (
    <ul className="legend small muted">
      <li>
        <svg width="22" height="10" aria-hidden="true">
          <path d="M0 5h22" stroke="var(--line)" strokeWidth="2" />
        </svg>
        Measured
      </li>
      {!register && (
        <li>
          <svg width="22" height="10" aria-hidden="true">
            <path d="M0 5h22" stroke="var(--estimated)" strokeWidth="2" strokeDasharray="5 4" />
          </svg>
          Estimated
        </li>
      )}
      <li>
        <svg width="12" height="10" aria-hidden="true">
          <path d="M1 1h10L6 9z" fill="var(--suspect)" />
        </svg>
        Suspect
      </li>
      <li>
        <svg width="12" height="10" aria-hidden="true">
          <rect
            x="2"
            y="1"
            width="8"
            height="8"
            fill="var(--surface)"
            stroke="var(--text)"
            strokeWidth="1.5"
          />
        </svg>
        Corrected
      </li>
      <li>
        <svg width="22" height="10" aria-hidden="true">
          <path d="M0 10L10 0M6 10L16 0M12 10L22 0" stroke="var(--ghost)" />
        </svg>
        Missing
      </li>
    </ul>
  );
}
