# Measures of city_counts_166.csv at four levels, by R: Rscript city_counts_166.R > city_counts_166.json
#
# Run it in this folder. Gini is laeken's (Eurostat's formula), entropy is vegan's diversity(); Hoover, the top 10 % and
# the Lorenz curve are read off a curve made with base R. None of it knows cgtool's code.
# Debian: apt-get install r-base-core r-cran-laeken r-cran-vegan r-cran-jsonlite

suppressPackageStartupMessages({
  library(laeken)
  library(vegan)
  library(jsonlite)
})

counts <- read.csv("city_counts_166.csv", encoding = "UTF-8")
places <- read.csv("../../manifests/taxonomies/cityguessr166.csv", encoding = "UTF-8")
joined <- merge(places, counts, by = "city")
stopifnot(nrow(joined) == 166, nrow(counts) == 166, sum(joined$count) == 68269)

measures <- function(y) {
  y <- sort(as.numeric(y))
  n <- length(y)
  x <- (0:n) / n
  lorenz <- c(0, cumsum(y) / sum(y))
  entropy <- diversity(y, index = "shannon")
  list(
    n_classes = n,
    n_clips = sum(y),
    gini = gini(y)$value / 100,
    hoover = max(x - lorenz),
    theil = log(n) - entropy,
    effective_classes = exp(entropy),
    top10_share = 1 - approx(x, lorenz, xout = 0.9)$y,
    lorenz = lorenz
  )
}

by_level <- function(level) {
  measures(tapply(joined$count, joined[[paste0(level, "_id")]], sum))
}
levels <- c("city", "state", "country", "continent")
cat(toJSON(
  list(
    made_by = list(
      R = as.character(getRversion()),
      laeken = as.character(packageVersion("laeken")),
      vegan = as.character(packageVersion("vegan"))
    ),
    levels = setNames(lapply(levels, by_level), levels)
  ),
  auto_unbox = TRUE, digits = NA, pretty = TRUE
), "\n", sep = "")
