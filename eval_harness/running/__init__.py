"""How a run is made: its folder, its order, its attempts, and what is never paid for twice."""
