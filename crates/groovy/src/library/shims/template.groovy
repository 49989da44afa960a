class Template {
    private String text
    private boolean plain
    Template(text, plain) { this.text = text; this.plain = plain }
    def make(Map binding = [:]) { new groovy.text.Made(groovy.text.Template.$closure(text, plain), binding) }
}
