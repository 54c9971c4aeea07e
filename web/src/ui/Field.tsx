import { cloneElement, type ReactElement, useId } from "react";

interface ControlProps {
  id?: string;
  "aria-describedby"?: string;
  "aria-invalid"?: boolean;
}

interface Props {
  label: string;
  hint?: string;
  error?: string | undefined;
  className?: string;
  children: ReactElement<ControlProps>;
}

/** A labelled control with its hint and what is wrong with it, tied together for screen readers. */
export function Field({ label, hint, error, className = "", children }: Props) {
  const id = useId();
  const about = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return (
    <div className={`field ${error ? "wrong" : ""} ${className}`}>
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, {
        id,
        "aria-invalid": error !== undefined,
        ...(about ? { "aria-describedby": about } : {}),
      })}
      {hint && (
        <span className="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {error && (
        <span className="field-error" id={`${id}-error`}>
          {error}
        </span>
      )}
    </div>
  );
}
