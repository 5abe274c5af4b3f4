"""The page: what it shows, which pictures it holds, and the two forms that it is written in."""
