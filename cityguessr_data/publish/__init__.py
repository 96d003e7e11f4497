"""What is made of a finished data set for people to look at and share."""
