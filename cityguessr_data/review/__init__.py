"""A person looks at the frames (paper, supplementary section 5, step 2): decisions, what they come to, the page."""
