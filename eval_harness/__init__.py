"""How an editor is scored: protocols, editors, runs, scores, results."""
