//! The texts of validation, as Jenkins prints them: users search for them, and other tools match them.
//!
//! Jenkins formats its texts with `MessageFormat`, where an apostrophe is a quote character and disappears; hence
//! "a stages step block" and "cant be used".

use std::fmt::Display;

/// A Java list or set: `[a, b]`.
pub(super) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    format!("[{}]", items.join(", "))
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*) = $text:literal;)*) => {
        $($(#[$doc])* pub(crate) fn $name($($arg: impl Display),*) -> String { format!($text) })*
    };
}

// -- reading the file ---------------------------------------------------------------------------------------------------
texts! {
    multiple_of_section(name) = "Multiple occurrences of the {name} section";
    undefined_section(name) = "Undefined section \"{name}\"";
    bare_dollar_curly(text) = "{text} cannot be used as a value directly. Did you mean \"{text}\"? (add quotes)";
    big_integer() = "BigIntegers cannot be used as constants in Declarative. The maximum value for an integer is 9,223,372,036,854,775,807 and the minimum value for an integer is -9,223,372,036,854,775,808.";
    cannot_have_blocks(what) = "{what} definitions cannot have blocks";
    duplicate_variable(name) = "Duplicate environment variable name: \"{name}\"";
    expected_agent() = "Expected an agent";
    expected_block() = "Expected a block";
    expected_block_for(name) = "Expected a block for {name}";
    expected_boolean(name) = "Expected a boolean with {name}";
    expected_parameter() = "Expected a build parameter definition";
    expected_closure_or_fail_fast() = "Expected closure or failFast";
    expected_library(got) = "Expected a \"lib(...)\" but got {got}";
    expected_map_method() = "Expected to find ‘someKey \"someValue\"’";
    expected_option() = "Expected an option";
    expected_pairs() = "Expected name=value pairs";
    expected_stage() = "Expected a stage";
    expected_step() = "Expected a step";
    expected_string() = "Expected string literal";
    expected_string_but_got(got) = "Expected string literal but got {got}";
    expected_symbol() = "Expected a symbol";
    expected_tool() = "Expected to find ‘someTool \"someVersion\"’";
    expected_trigger() = "Expected a trigger";
    expected_when() = "Expected a when condition";
    invalid_agent() = "Only \"agent none\", \"agent any\" or \"agent {{...}}\" are allowed.";
    invalid_post_content(names) = "The ‘post’ section can only contain build condition names with code blocks. Valid condition names are {names}";
    invalid_environment_expression(text) = "\"{text}\" is not a valid environment expression. Use \"key = value\" pairs with valid Java/shell keys.";
    invalid_environment_operation() = "Environment variable values can only be joined together with ‘+’s.";
    invalid_environment_concat() = "Environment variable values to be concatenated together must be single or double quoted.";
    invalid_environment_value() = "Environment variable values must either be single quoted, double quoted, or function calls.";
    invalid_input_field(name) = "Not a valid field for input: \"{name}\"";
    invalid_function_argument() = "Internal function call parameters must be strings.";
    invalid_section(text) = "Not a valid section definition: \"{text}\". Some extra configuration is required.";
    invalid_stage_section(text) = "Not a valid stage section definition: \"{text}\". Some extra configuration is required.";
    map_not_allowed(what) = "{what} cannot be defined as maps";
    values_or_not_values() = "Exclude axis must contain either \"values\" or \"notValues\"";
    call_with_closure() = "Method call arguments";
    no_argument_for_agent() = "No argument for agent";
    no_argument_for_field(name) = "No argument for field \"{name}\"";
    no_argument_for_key(name) = "No argument for map key \"{name}\"";
    no_argument_for_tool(name) = "No argument for tool \"{name}\"";
    call_on_object() = "Method calls on objects not allowed outside \"script\" blocks.";
    one_agent() = "Only one agent type is allowed per agent section";
    pipeline_not_at_top() = "pipeline block must be at the top-level, not within another block.";
    renamed_job_properties() = "The ‘jobProperties’ section has been renamed as of version 0.7. Use ‘properties’ instead.";
    renamed_notifications() = "The ‘notifications’ section has been removed as of version 0.6. Use ‘post’ for all post-build actions.";
    renamed_properties() = "The ‘properties’ section has been renamed as of version 0.8. Use ‘options’ instead.";
    renamed_post_build() = "The ‘postBuild’ section has been renamed as of version 0.6. Use ‘post’ for all post-build actions.";
    renamed_wrappers() = "The 'wrappers' section has been removed as of version 0.8. Use 'options' instead.";
    stage_without_block() = "Stage does not have a block";
    step_without_block(what) = "{what} step without a block";
    too_many_for_field(name) = "Too many arguments for field \"{name}\"";
    too_many_for_key(name) = "Too many arguments for map key \"{name}\"";
    too_many_for_tool(name) = "Too many arguments for tool \"{name}\"";
    unknown_stage_section(name) = "Unknown stage section \"{name}\". Starting with version 0.5, steps in a stage must be in a ‘steps’ block.";
}

// -- checking what was read ---------------------------------------------------------------------------------------------
texts! {
    empty_section(name) = "{name} can not be empty";
    duplicate_condition(name) = "Duplicate build condition name: \"{name}\"";
    invalid_condition(name, names) = "Invalid condition \"{name}\" - valid conditions are {names}";
    no_variables() = "No variables specified for environment";
    no_tools() = "No tools specified";
    invalid_type(what, name, names) = "Invalid {what} type \"{name}\". Valid {what} types: {names}";
    empty_when() = "Empty when closure, remove the property or add some content.";
    blocked_step(name, why) = "Invalid step \"{name}\" used - not allowed in this context - {why}";
    invalid_parameter(name, nearest) = "Invalid parameter \"{name}\", did you mean \"{nearest}\"?";
    missing_parameter(name) = "Missing required parameter: \"{name}\"";
    too_many_unnamed(name) = "Arguments to \"{name}\" must be explicitly named.";
    wrong_number_of_parameters(name, wanted, got) = "\"{name}\" should have {wanted} arguments but has {got} arguments instead.";
    not_single_required() = "Step does not take a single required parameter - use named parameters instead";
    mixed_parameters() = "Cannot mix named and unnamed arguments";
    invalid_named_type(ty, name, got, got_ty) = "Expecting \"{ty}\" for parameter \"{name}\" but got \"{got}\" of type {got_ty} instead";
    invalid_unnamed_type(ty, got, got_ty) = "Expecting \"{ty}\" but got \"{got}\" of type {got_ty} instead";
    no_steps() = "No steps specified for branch";
    required_section(name) = "Missing required section \"{name}\"";
    nothing_for_stage(name) = "Expected one of \"steps\", \"stages\", or \"parallel\" for stage \"{name}\"";
    no_stages() = "No stages specified";
    duplicate_branch(name) = "Duplicate parallel branch name: \"{name}\"";
    duplicate_stage(name) = "Duplicate stage name: \"{name}\"";
    duplicate_option(name) = "Duplicate option name: \"{name}\"";
    duplicate_trigger(name) = "Duplicate trigger name: \"{name}\"";
    duplicate_axis(name) = "Duplicate axis name: \"{name}\"";
    duplicate_axis_value(value) = "Duplicate axis value: \"{value}\"";
    no_agent_type(names) = "No agent type specified. Must be one of {names}";
    invalid_agent_type(name, names) = "Invalid agent type \"{name}\" specified. Must be one of {names}";
    missing_agent_parameter(kind, name) = "Missing required parameter for agent type \"{kind}\": {name}";
    invalid_agent_parameter(name, kind, names) = "Invalid config option \"{name}\" for agent type \"{kind}\". Valid config options are {names}";
    multiple_agent_parameters(kind, names) = "Multiple parameters are required for agent type \"{kind}\" - {names}. Please use a block instead.";
    unknown_when(name, names) = "Unknown conditional {name}. Valid conditionals are: {names}";
    invalid_variable_name(name) = "\"{name}\" is not a valid identifier and cannot be used for an environment variable. Identifiers must start with a letter or underscore and can contain only letters, numbers or underscores.";
    nested_when_arguments(name) = "No additional arguments are allowed for children when condition \"{name}\".";
    no_nested_when(name) = "No children when conditions are allowed for when condition \"{name}\".";
    nested_when_without_children(name) = "Nested when condition \"{name}\" requires at least one child condition.";
    nested_when_wrong_count(name, count) = "Nested when condition \"{name}\" requires exactly {count} child condition(s).";
    two_of_content(name) = "Only one of \"matrix\", \"parallel\", \"stages\", or \"steps\" allowed for stage \"{name}\"";
    agent_in_nested(name) = "\"agent\" is not allowed in stage \"{name}\" as it contains parallel or matrix stages";
    tools_in_nested(name) = "\"tools\" is not allowed in stage \"{name}\" as it contains parallel or matrix stages";
    nested_parallel() = "\"matrix\" or \"parallel\" cannot be nested inside another \"matrix\" or \"parallel\".";
    missing_message() = "No message specified for input";
    no_axes() = "No axis directives specified";
    no_excludes() = "No exclude directives specified";
    changelog_without_pattern() = "Changelog is missing required parameter \"pattern\".";
    changelog_bad_pattern(pattern, why) = "\"{pattern}\" is not a valid regular expression. {why}";
    parameters_in_options() = "The \"parameters\" job property cant be used in the \"options\" directive. Use the \"parameters {{...}}\" directive instead.";
    triggers_in_options() = "The \"triggers\" job property cant be used in the \"options\" directive. Use the \"triggers {{...}}\" directive instead.";
}

/// Why a step may not stand among steps, or in the arguments of a call.
pub(super) fn blocked(name: &str, in_arguments: bool) -> Option<String> {
    let why = match name {
        "stage" => "The stage step cannot be used in Declarative Pipelines",
        "properties" => "The properties step cannot be used in Declarative Pipelines",
        "parallel" => "The parallel step can only be used as the only top-level step in a stages step block",
        "node" if in_arguments => "The node step cannot be called as an argument to a method in Declarative Pipelines",
        _ => return None,
    };
    Some(blocked_step(name, why))
}

/// The rule that a text belongs to.
pub(crate) fn rule(text: &str) -> &'static str {
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    if begins(&["Missing required parameter", "No message specified for input", "Changelog is missing"]) {
        "missing-parameter"
    } else if begins(&["Invalid parameter", "Invalid config option", "Not a valid field"]) {
        "invalid-parameter"
    } else if begins(&["Expecting \""]) {
        "wrong-type"
    } else if begins(&["Missing required section", "Expected one of \"steps\"", "No stages", "No steps", "No agent"]) {
        "missing-section"
    } else if begins(&["Undefined section", "Unknown stage section", "Invalid condition"]) {
        "unknown-section"
    } else if begins(&["Invalid agent type", "Invalid option type", "Invalid parameter type", "Invalid trigger type"])
        || begins(&["Invalid tool type", "Unknown conditional"])
    {
        "unknown-directive"
    } else if begins(&["Duplicate", "Multiple occurrences"]) {
        "duplicate"
    } else if begins(&["Invalid step", "Method calls on objects", "Expected a step", "Expected a symbol"]) {
        "step-not-allowed"
    } else {
        "declarative"
    }
}
