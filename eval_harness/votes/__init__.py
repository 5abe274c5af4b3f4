"""Which of two results is better, asked of people and of models: votes, the judge, and what the votes say."""
