/** What the agent may say, in large type. */
export function Say({ words, bare = false }: { words: string; bare?: boolean }) {
  return (
    <div className={bare ? "say bare" : "say"}>
      <span className="k">You say</span>
      <p>“{words}”</p>
    </div>
  );
}
