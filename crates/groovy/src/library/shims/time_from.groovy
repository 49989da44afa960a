class From {
    private def $duration
    From(duration) { $duration = duration }
    Date getNow() { $duration.$fromNow() }
    Date getToday() { $duration.$fromToday() }
}
