import Commands

await CommandRunner.main(InspectCommand.self)
