class Template {
    private String text
    private boolean plain
    private boolean prints
    Template(text, plain, prints = false) { this.text = text; this.plain = plain; this.prints = prints }
    def make(Map binding = [:]) { new groovy.text.Made(groovy.text.Template.$closure(text, plain, prints), binding) }
}
