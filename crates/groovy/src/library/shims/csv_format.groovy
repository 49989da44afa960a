class CSVFormat {
    private final Map $how
    CSVFormat(Map how) { $how = how }
    private but(Map more) { new org.apache.commons.csv.CSVFormat($how + more) }

    static final DEFAULT = new org.apache.commons.csv.CSVFormat(delimiter: ',', quote: '"', recordSeparator: '\r\n')
    static final RFC4180 = DEFAULT
    static final EXCEL = DEFAULT
    static final TDF = DEFAULT.but(delimiter: '\t', trim: true)
    static final MYSQL = DEFAULT.but(delimiter: '\t', quote: null, escape: '\\', recordSeparator: '\n', nullString: '\\N')
    static final POSTGRESQL_CSV = DEFAULT.but(recordSeparator: '\n')
    static newFormat(char delimiter) { new org.apache.commons.csv.CSVFormat(delimiter: "$delimiter".toString()) }

    def builder() { this }
    def build() { this }
    def get() { this }
    static class Builder { static create(of = org.apache.commons.csv.CSVFormat.DEFAULT) { of } }
    def withHeader(String... names) { but(header: names.toList()) }
    def setHeader(String... names) { but(header: names.toList()) }
    def withFirstRecordAsHeader() { but(header: [], skipHeaderRecord: true) }
    def withSkipHeaderRecord(boolean on = true) { but(skipHeaderRecord: on) }
    def setSkipHeaderRecord(boolean on) { but(skipHeaderRecord: on) }
    def withDelimiter(delimiter) { but(delimiter: "$delimiter".toString()) }
    def setDelimiter(delimiter) { but(delimiter: "$delimiter".toString()) }
    def withQuote(quote) { but(quote: quote?.toString()) }
    def setQuote(quote) { but(quote: quote?.toString()) }
    def withEscape(escape) { but(escape: escape?.toString()) }
    def setEscape(escape) { but(escape: escape?.toString()) }
    def withCommentMarker(marker) { but(comment: marker?.toString()) }
    def setCommentMarker(marker) { but(comment: marker?.toString()) }
    def withTrim(boolean on = true) { but(trim: on) }
    def setTrim(boolean on) { but(trim: on) }
    def withIgnoreSurroundingSpaces(boolean on = true) { but(trim: on) }
    def setIgnoreSurroundingSpaces(boolean on) { but(trim: on) }
    def withIgnoreHeaderCase(boolean on = true) { but(ignoreHeaderCase: on) }
    def setIgnoreHeaderCase(boolean on) { but(ignoreHeaderCase: on) }
    def withAllowMissingColumnNames(boolean on = true) { this }
    def setAllowMissingColumnNames(boolean on) { this }
    def withIgnoreEmptyLines(boolean on = true) { this }
    def setIgnoreEmptyLines(boolean on) { this }
    def withRecordSeparator(separator) { but(recordSeparator: "$separator".toString()) }
    def setRecordSeparator(separator) { but(recordSeparator: "$separator".toString()) }
    def withNullString(String text) { but(nullString: text) }
    def setNullString(String text) { but(nullString: text) }
    String[] getHeader() { $how.header as String[] }
    char getDelimiter() { $how.delimiter as char }
    boolean getSkipHeaderRecord() { !!$how.skipHeaderRecord }
}
