class InputStreamReader extends java.io.StringReader {
    InputStreamReader(source, charset = null) { super(source.text) }
}
