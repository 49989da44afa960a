class Duration extends groovy.time.BaseDuration {
    Duration(int days, int hours, int minutes, int seconds, int millis) { super(0, 0, days, hours, minutes, seconds, millis) }
}
