/** The two live regions. Marked so that an open box does not hide them from a screen reader. */
export function Live({ loud, quiet }: { loud: string; quiet: string }) {
  return (
    <>
      <div className="vh" role="status" data-live-announcer="true">
        {quiet}
      </div>
      <div className="vh" role="alert" data-live-announcer="true">
        {loud}
      </div>
    </>
  );
}
