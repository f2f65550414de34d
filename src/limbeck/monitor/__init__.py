"""Is the promise still kept? Audits, what they show of today, inputs, money and age."""
