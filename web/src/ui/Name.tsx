import { Fragment } from "react";

/** A name of several words, `orders.take_payment`, `orders@host:17`, that breaks between them where it has to. */
export function Name({ of }: { of: string }) {
  return (
    <>
      {of.split(/(?<=[._:@/-])(?=[^._:@/-])/).map((part, position) => (
        <Fragment key={position}>
          {position > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}
