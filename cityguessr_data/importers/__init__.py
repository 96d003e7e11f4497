"""Other people's data sets in our tables, their frames where they are: released CityGuessr68k, Mapillary SLS."""
