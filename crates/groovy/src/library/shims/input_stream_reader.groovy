class InputStreamReader extends java.io.StringReader {
    InputStreamReader(source, charset = null) { super(charset == null ? source.text : source.getText(charset)) }
}
