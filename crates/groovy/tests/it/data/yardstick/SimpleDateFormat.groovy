package java.text

abstract class DateFormat {
    abstract String format(Object date)
}

/** As [java.util.Date]. */
class SimpleDateFormat extends DateFormat {
    SimpleDateFormat(String pattern) {}

    String format(Object date) { '' }
}
