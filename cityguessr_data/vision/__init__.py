"""Face detection, blurring, scenes and weights: calls that take RGB frames and know nothing of videos or tables."""
