import { Link } from "react-router";
import { useTitle } from "../app/title.ts";
import { Empty } from "../ui/states.tsx";

export default function NotFoundPage() {
  useTitle("Not found");
  return (
    <>
      <h1 className="visually-hidden">Not found</h1>
      <Empty title="There is no such page">
        <Link to="/">Go to the start page</Link>
      </Empty>
    </>
  );
}
